"""Incidents as far as a key may see them, users by reference, and the fields of a refusal in a body."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from tocsin.incidents.api_keys import ApiKey
from tocsin.incidents.errors import Refused
from tocsin.incidents.model import Incident, PersonId
from tocsin.web.api.bodies import UserReferencePayload
from tocsin.web.api.endpoints import ApiCall
from tocsin.web.api.errors import not_found


def is_seen_by(key: ApiKey, incident: Incident) -> bool:
    """True if a key may see an incident: a private one only with the scope for it."""
    return key.may("private") or not incident.is_private


def still_seen(call: ApiCall, incident: Incident) -> Incident:
    """Return an incident that a request has come to, unless it has become private meanwhile: ApiError 404."""
    if not is_seen_by(call.key, incident):
        raise not_found()
    return incident


@contextmanager
def renamed(**fields: str) -> Iterator[None]:
    """Name the fields of a refusal in this block as the body has them."""
    try:
        yield
    except Refused as refusal:
        refusal.fields = {fields.get(field, field): said for field, said in refusal.fields.items()}
        raise


_PERSON = re.compile(r"[UW][A-Z0-9]{1,20}")
"""Id of a person in Slack, which is the id of a user here."""


async def find_user(call: ApiCall, reference: UserReferencePayload) -> PersonId | None:
    """Return the person of a reference; None if Tocsin has not met who has that e-mail address."""
    known = reference.slack_user_id or reference.id or ""
    if _PERSON.fullmatch(known):
        return PersonId(known)
    if known or not reference.email:
        return None
    people = await call.backend.reader.people(email=reference.email, limit=1)
    return people[0].slack_user_id if people else None
