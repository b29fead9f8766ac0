"""All rows of `routes.py`, each with its journey: where it can be made, and with which settings."""

from __future__ import annotations

from e2e.wire import happened, pressed, sent, typed
from e2e.wire.journey import Journey
from e2e.wire.rows import ROWS
from tocsin.slack import routes
from tocsin.slack.routes import UNKNOWN, every_route

CONFIG = f"""
severities = [{{ name = "Passing" }}, {{ name = "Minor" }}, {{ name = "Major" }}, {{ name = "Critical" }}]
[[custom_fields]]
name = "Depot"
field_type = "single_select"
options = {[f"Depot {number:03}" for number in range(150)]}
[tracker]
url = "https://tracker.example.com/new?title={{title}}"
[after]
archive_after_days = 30
[[nudges.rules]]
when = "no_lead"
after = "1 day"
severities = ["Major"]
[[nudges.rules]]
when = "no_update"
after = "1 day"
severities = ["Critical"]
[[nudges.rules]]
when = "stale"
after = "1 day"
severities = ["Minor"]
"""

INSTALLED = {f"event {kind}" for kind in routes.INSTALL_EVENTS}
BESIDE_DEVREV = {"suggestion other"}
EVERY = [route for route in every_route() if route != UNKNOWN]
HERE = [route for route in EVERY if route not in INSTALLED | BESIDE_DEVREV]
FILES = (happened, pressed, sent, typed)


def of_kind(*kinds: str) -> list[str]:
    """The rows of these kinds that `tocsin run` has with Tocsin's own incidents."""
    return [route for route in HERE if route.partition(" ")[0] in kinds]


async def followed(way: Journey, route: str) -> None:
    """Somebody does what the row is for, and the process counts it under that route."""
    before = await way.handled()
    await ROWS[route](way)
    assert await way.bot.answered(route, before[route]), "It went to another row."
