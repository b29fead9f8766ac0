"""What must survive the process: workflows that are not finished, and what Tocsin did in Slack."""
