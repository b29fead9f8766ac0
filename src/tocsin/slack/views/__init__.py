"""What people see in Slack, and what they filled in: pure functions, model to Block Kit and state to request."""
