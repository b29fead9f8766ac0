"""What a responder can make happen: one file per verb, durable workflows that read top to bottom."""
