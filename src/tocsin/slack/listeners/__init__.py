"""Listeners of Slack's payloads: each acknowledges, then starts one workflow or shows one view."""
