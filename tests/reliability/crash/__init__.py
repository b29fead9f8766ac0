"""Kill the bot at every point of a declaration, start it again, and look at what became of it."""
