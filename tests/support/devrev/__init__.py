"""A DevRev organisation on this machine, written from DevRev's API reference; stricter than it need be."""

from support.devrev.org import FakeOrg, Field, Person
from support.devrev.server import running_org

__all__ = ["FakeOrg", "Field", "Person", "running_org"]
