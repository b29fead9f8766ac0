"""incident.io on this machine, as its documents say it is; what they do not allow is refused."""
