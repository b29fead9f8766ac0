"""The table of all endpoints. A new one is a row here; description, manual and tests follow from it.

A row names the method and the path as incident.io has them, the handler, the model of the answer, and as far
as it has them the scope that a key needs, the models of the query and the body, and the status.
"""

from __future__ import annotations

from typing import Final

from tocsin.web.api import identity
from tocsin.web.api.endpoints import Endpoint

_KEYS = (
    # The key itself.
    Endpoint("GET", "/v1/identity", identity.show_identity, identity.UtilitiesIdentityResultV1),
)

ENDPOINTS: Final[tuple[Endpoint, ...]] = (*_KEYS,)
