"""Private incidents, and everywhere that a word of theirs may not be."""
