"""Durable state: workflows that are not finished, and what Tocsin did in Slack."""
