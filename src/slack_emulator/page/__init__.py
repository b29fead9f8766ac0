"""The workspace in a browser: channels, messages, forms, as a person of it sees them."""

from slack_emulator.page.authentication import Authentication, TokenRequired
from slack_emulator.page.consent import consent_routes
from slack_emulator.page.routes import routes

__all__ = ["Authentication", "TokenRequired", "consent_routes", "routes"]
