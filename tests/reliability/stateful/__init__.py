"""People, faults, kills and restarts in any order, against a model that is a dictionary."""
