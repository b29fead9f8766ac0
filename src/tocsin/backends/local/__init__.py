"""The local backend: incidents in one SQLite file on this machine."""

from tocsin.backends.local.backend import LocalBackend

__all__ = ["LocalBackend"]
