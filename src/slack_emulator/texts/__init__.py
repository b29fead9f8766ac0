"""How text is written, read and turned from one of Slack's forms into another."""
