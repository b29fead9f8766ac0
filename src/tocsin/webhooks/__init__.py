"""Webhooks out: signed events of incidents, sent to the endpoints that the configuration names."""
