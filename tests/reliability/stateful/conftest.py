"""The longer profile of the stateful tests."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("long", parent=settings(), derandomize=False)
