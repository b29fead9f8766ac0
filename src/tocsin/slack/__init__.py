"""How people talk to the bot."""
