"""The workspace as web pages: channels, messages, forms and Home tabs, as one user sees them."""

from slack_emulator.page.authentication import Authentication, TokenRequired
from slack_emulator.page.consent import consent_routes
from slack_emulator.page.routes import routes

__all__ = ["Authentication", "TokenRequired", "consent_routes", "routes"]
