"""The bot in this process, over real sockets."""
