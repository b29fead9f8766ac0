"""Incidents kept by incident.io."""

from tocsin.backends.incident_io.backend import IncidentIo

__all__ = ["IncidentIo"]
