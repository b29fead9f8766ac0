"""Listeners of Slack's payloads: each acknowledges and starts one workflow or shows one view."""
