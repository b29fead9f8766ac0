"""What an incident is and what may happen to it: no I/O, no clock, no Slack."""
