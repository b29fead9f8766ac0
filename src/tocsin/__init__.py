"""Tocsin: the Slack bot that opens and manages incidents."""

__version__ = "0.1.0"
"""The one place of the version: the package, the command line, pages, metrics and clients read it here."""

USER_AGENT = f"Tocsin/{__version__}"
