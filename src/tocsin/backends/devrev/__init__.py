"""Incidents kept by DevRev (Incidents, beta API), made once though it takes no idempotency key."""

from tocsin.backends.devrev.backend import DevRevBackend
from tocsin.backends.devrev.client import DevRevClient

__all__ = ["DevRevBackend", "DevRevClient"]
