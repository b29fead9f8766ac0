"""Everything that speaks with Slack: routes, payloads, listeners, views, and the Web API client."""
