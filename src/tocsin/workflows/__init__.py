"""Verbs that a responder can use: one file per verb, durable workflows that read top to bottom."""
