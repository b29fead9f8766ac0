"""Model of an incident and its rules. Pure: no I/O, no clock, no Slack."""
