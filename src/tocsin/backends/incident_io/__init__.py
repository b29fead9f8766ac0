"""The incident.io backend."""

from tocsin.backends.incident_io.backend import IncidentIo

__all__ = ["IncidentIo"]
