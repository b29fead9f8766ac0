"""The workspace in a browser: channels, messages, forms, as a person of it sees them."""

from tocsin.playground.page.authentication import Authentication, TokenRequired
from tocsin.playground.page.consent import consent_routes
from tocsin.playground.page.routes import routes

__all__ = ["Authentication", "TokenRequired", "consent_routes", "routes"]
