"""The fault panel: rate limits, failing calls, lost connections and a clock that a user can advance."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from slack_emulator.clock import TurnableClock
from slack_emulator.faults import Fault
from slack_emulator.page.desk import ELSEWHERE, Desk, see_other
from slack_emulator.web_api import METHODS

MOST_FAULTS = 100
MOST_MINUTES = 60 * 24 * 30
FAULTS = {
    "limited": ("429, try again in 3 s", Fault(status=429, retry_after=3)),
    "broken": ("500, nothing done", Fault(status=500)),
    "lost": ("done, but the answer is lost", Fault(reset=True, after_effect=True)),
    "reset": ("not done, the connection breaks off", Fault(reset=True)),
    "refused": ("refused (restricted_action)", Fault(error="restricted_action")),
}


class Weather:
    """Handlers of the fault panel and its buttons."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._workspace = desk.workspace

    async def show(self, request: Request) -> Response:
        faults, rates = self._workspace.faults, self._workspace.rates
        return self._desk.answer(
            request,
            ELSEWHERE,
            "weather.html",
            title="Slack’s weather",
            showing="main",
            methods=sorted(METHODS),
            faults={name: words for name, (words, _) in FAULTS.items()},
            planned=faults.planned(),
            limits_on=rates.on,
            refused=rates.refused,
            apps=[(app.name, self._workspace.sockets.count(app.app_id)) for app in self._workspace.apps()],
            can_turn=isinstance(self._workspace.clock, TurnableClock),
        )

    async def limit(self, request: Request) -> Response:
        """Switch Slack's own rate limits on or off."""
        rates = self._workspace.rates
        rates.on = not rates.on
        rates.forget()
        return see_other("/weather")

    async def plan(self, request: Request) -> Response:
        """Plan a fault for the next calls of a method."""
        form = await request.form()
        method, kind = str(form.get("method", "")), str(form.get("fault", ""))
        times = _number(str(form.get("times", "1")), MOST_FAULTS)
        if method in METHODS and kind in FAULTS:
            self._workspace.faults.plan(method, *[FAULTS[kind][1]] * times)
        return see_other("/weather")

    async def clear(self, request: Request) -> Response:
        """Remove all planned faults."""
        self._workspace.faults.clear()
        return see_other("/weather")

    async def connections(self, request: Request) -> Response:
        """Refresh every app's Socket Mode connections with a warning, or drop them without one."""
        dropped = (await request.form()).get("how") == "drop"
        for app in self._workspace.apps():
            if dropped:
                self._workspace.sockets.drop(app.app_id)
            else:
                await self._workspace.sockets.refresh(app.app_id)
        return see_other("/weather")

    async def turn(self, request: Request) -> Response:
        """Advance the workspace's clock: triggers and response URLs expire, retries become due."""
        minutes = _number(str((await request.form()).get("minutes", "")), MOST_MINUTES)
        if isinstance(self._workspace.clock, TurnableClock):
            self._workspace.clock.turn(minutes * 60)
        return see_other("/weather")


def _number(text: str, most: int) -> int:
    return min(max(int(text), 1), most) if text.isascii() and text.isdecimal() and len(text) < 9 else 1
