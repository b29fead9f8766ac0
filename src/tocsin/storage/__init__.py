"""What must survive the process: stories that are not finished, and what Tocsin did in Slack."""
