"""Makes `fakes` importable from every test; a property is judged by what it finds, not by how busy we are."""

from hypothesis import settings

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
