"""Web pages, sign-in, OAuth, health and metrics."""
