"""What happened in a run, and whether it kept every promise."""
