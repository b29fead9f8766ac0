"""Commands that responders give, as durable workflows: one file per verb, and the ports that they need."""
