"""Block Kit views and message texts, and readers of what people submitted. Pure functions without I/O."""
