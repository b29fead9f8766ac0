"""incident.io's API over Tocsin's own incidents: a table of endpoints, and the server that answers them."""
