"""Durable state: the workflow engine, posts in Slack, installations, and a key-value store."""
