"""`tocsin run` as an operator starts it, with tokens, against a workspace at SLACK_API_URL."""
