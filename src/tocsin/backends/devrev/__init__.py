"""The DevRev backend (Incidents, beta API). DevRev takes no idempotency key; see `idempotency`."""

from tocsin.backends.devrev.backend import DevRevBackend
from tocsin.backends.devrev.client import DevRevClient

__all__ = ["DevRevBackend", "DevRevClient"]
