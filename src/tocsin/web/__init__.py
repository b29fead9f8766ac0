"""Pages, health and metrics: what people and probes see outside Slack."""
