"""What people see in Slack and what they filled in: pure functions, without a word to the network."""
