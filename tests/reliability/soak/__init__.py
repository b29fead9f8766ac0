"""The bot as a process of its own, under a steady load and in bad weather, for as long as wanted."""
