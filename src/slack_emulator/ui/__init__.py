"""The workspace as web pages: channels, messages, forms and Home tabs, as one user sees them."""

from slack_emulator.ui.app import routes
from slack_emulator.ui.authentication import Authentication, TokenRequired
from slack_emulator.ui.oauth import consent_routes

__all__ = ["Authentication", "TokenRequired", "consent_routes", "routes"]
