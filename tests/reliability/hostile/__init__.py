"""Input that nobody means well: payloads, texts, rows and files."""
