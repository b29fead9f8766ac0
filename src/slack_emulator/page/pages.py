"""GET requests of the page: channels, threads, Home tabs, lists, permalinks."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from slack_emulator.model import Channel, InstalledApp, Refused
from slack_emulator.page.desk import ELSEWHERE, Desk, see_other
from slack_emulator.page.drawing import SHOWN, Aside, Place


class Pages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._workspace = desk.workspace

    async def front(self, request: Request) -> Response:
        """Redirect to the general channel, the first that a new user should see."""
        rooms = [c for c in self._workspace.channels_for(self._desk.acting(request)) if not c.is_direct]
        general = [c for c in rooms if c.is_general] or rooms
        return see_other(f"/client/{general[0].id}" if general else "/client")

    async def index(self, request: Request) -> Response:
        """Show the sidebar alone, the first page on a small screen."""
        return self._desk.answer(
            request,
            ELSEWHERE,
            "welcome.html",
            title="Home",
            showing="sidebar",
            heading=self._workspace.team_name,
            sentence=self._desk.advice or "Choose a channel to begin.",
        )

    async def channel(self, request: Request) -> Response:
        return self._channel_page(request, "")

    async def thread(self, request: Request) -> Response:
        return self._channel_page(request, "thread")

    async def details(self, request: Request) -> Response:
        return self._channel_page(request, "details")

    def _channel_page(self, request: Request, aside: Aside) -> Response:
        channel = self._desk.channel(request)
        if channel is None:
            return self._desk.missing(request)
        viewer = self._desk.acting(request)
        if request.headers.get("x-visible", "yes") == "yes":
            self._workspace.mark_read(viewer, channel.id)
        shown = request.query_params.get("shown", "")
        place = Place(
            "channel",
            channel,
            aside,
            request.path_params.get("ts", ""),
            shown=max(SHOWN, int(shown)) if shown.isdecimal() else SHOWN,
        )
        drawing = self._desk.drawing(request, place)
        facts = drawing.channel_facts(channel)
        return self._desk.answer(
            request,
            place,
            "channel.html",
            title=f"{facts['sign']}{facts['label']}",
            showing="aside" if aside else "main",
            aside=aside,
            channel=facts,
            thread_ts=place.thread_ts,
            may_post=viewer in channel.members and not channel.archived,
            composer_label=f"Message {facts['sign']}{facts['label']}",
        )

    async def message_menu(self, request: Request) -> Response:
        channel = self._desk.channel(request)
        if channel is None:
            return Response(status_code=404)
        try:
            message = self._workspace.message(channel.id, request.path_params["ts"])
        except Refused:
            return Response(status_code=404)
        drawing = self._desk.drawing(request, Place("channel", channel))
        return HTMLResponse(drawing.message_menu(message), headers={"cache-control": "no-store"})

    async def home(self, request: Request) -> Response:
        app = self._app(request)
        if app is None or not app.manifest.home_tab:
            return self._desk.missing(request)
        if not request.headers.get("hx-request"):
            await self._workspace.open_home(self._desk.acting(request), app.app_id)
        return self._home_page(request, app, "home")

    async def about(self, request: Request) -> Response:
        app = self._app(request)
        return self._desk.missing(request) if app is None else self._home_page(request, app, "about")

    def _home_page(self, request: Request, app: InstalledApp, tab: str) -> Response:
        manifest = app.manifest
        place = Place("home", app_id=app.app_id) if tab == "home" else ELSEWHERE
        direct = self._direct_with(request, app) if manifest.messages_tab else None
        return self._desk.answer(
            request,
            place,
            "home.html",
            title=app.name,
            showing="main",
            tab=tab,
            app_id=app.app_id,
            app_name=app.name,
            home_tab=manifest.home_tab,
            assistant=manifest.assistant_view,
            direct=direct.id if direct is not None else "",
            about=manifest.long_description or manifest.description,
        )

    def _app(self, request: Request) -> InstalledApp | None:
        try:
            return self._workspace.app(request.path_params["app"])
        except Refused:
            return None

    def _direct_with(self, request: Request, app: InstalledApp) -> Channel | None:
        pair = {self._desk.acting(request), app.bot_user_id}
        rooms = self._workspace.channels_for(self._desk.acting(request))
        return next((c for c in rooms if c.is_direct and set(c.members) == pair), None)

    async def browse(self, request: Request) -> Response:
        viewer = self._desk.acting(request)
        drawing = self._desk.drawing(request, ELSEWHERE)
        rooms = [c for c in self._workspace.channels_for(viewer) if not c.is_direct]
        rooms = sorted([*rooms, *self._workspace.joinable(viewer)], key=lambda c: c.name)
        return self._desk.answer(
            request,
            ELSEWHERE,
            "browse.html",
            title="All channels",
            showing="main",
            browsable=[drawing.channel_facts(c) for c in rooms],
            may_create=not self._workspace.person(viewer).is_guest,
        )

    async def people(self, request: Request) -> Response:
        drawing = self._desk.drawing(request, ELSEWHERE)
        active = [p for p in self._workspace.people() if not p.deleted]
        authors = sorted((drawing.directory.author(p) for p in active), key=lambda a: (a.is_app, a.name))
        return self._desk.answer(
            request, ELSEWHERE, "browse.html", title="People", showing="main", people=authors
        )

    async def permalink(self, request: Request) -> Response:
        """Redirect from Slack's form of a permalink, /archives/<channel>/p<ts without its dot>."""
        channel, digits = request.path_params["channel"], str(request.path_params["stamp"])
        ts = f"{digits[:-6]}.{digits[-6:]}"
        root = request.query_params.get("thread_ts", "")
        if root and root != ts:
            return see_other(f"/client/{channel}/thread/{root}#t-{ts}")
        return see_other(f"/client/{channel}#m-{ts}")
