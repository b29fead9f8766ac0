"""Searches by chance and by fault: what must hold whatever fails."""
