"""Webhooks out: signed events of incidents, sent to the endpoints of the configuration."""
