"""Journeys through `tocsin` as a process of its own."""
