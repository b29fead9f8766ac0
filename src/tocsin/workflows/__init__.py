"""What a responder can make happen: one file per verb, durable stories that read top to bottom."""
