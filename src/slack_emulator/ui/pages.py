"""Pages of channels, files, canvases, workflows and faults."""

from __future__ import annotations

import re

from markdown_it import MarkdownIt
from markupsafe import Markup
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from slack_emulator.clock import TurnableClock
from slack_emulator.entity_comments import CommentsView
from slack_emulator.faults import Fault
from slack_emulator.models import Channel, InstalledApp, Json, Refused, StoredFile
from slack_emulator.ui.regions import SHOWN, Aside, Location
from slack_emulator.ui.session import ELSEWHERE, Session, refused, see_other
from slack_emulator.web_api import METHODS

# GET requests of the page: channels, threads, Home tabs, lists, permalinks.


class Pages:
    def __init__(self, session: Session) -> None:
        self._session = session
        self._workspace = session.workspace

    async def front(self, request: Request) -> Response:
        """Redirect to the general channel, the first that a new user should see."""
        rooms = [c for c in self._workspace.channels_for(self._session.acting(request)) if not c.is_direct]
        general = [c for c in rooms if c.is_general] or rooms
        return see_other(f"/client/{general[0].id}" if general else "/client")

    async def index(self, request: Request) -> Response:
        """Show the sidebar alone, the first page on a small screen."""
        return self._session.answer(
            request,
            ELSEWHERE,
            "welcome.html",
            title="Home",
            showing="sidebar",
            heading=self._workspace.team_name,
            sentence=self._session.advice or "Choose a channel to begin.",
        )

    async def channel(self, request: Request) -> Response:
        return self.channel_page(request, "")

    async def thread(self, request: Request) -> Response:
        return self.channel_page(request, "thread")

    async def details(self, request: Request) -> Response:
        return self.channel_page(request, "details")

    def channel_page(self, request: Request, aside: Aside, comments: CommentsView | None = None) -> Response:
        """Show a channel, and beside it a thread, its details, or the comments of a Work Object."""
        channel = self._session.channel(request)
        if channel is None:
            return self._session.missing(request)
        viewer = self._session.acting(request)
        if request.headers.get("x-visible", "yes") == "yes":
            self._workspace.mark_read(viewer, channel.id)
        shown = request.query_params.get("shown", "")
        place = Location(
            "channel",
            channel,
            aside,
            request.path_params.get("ts", ""),
            shown=max(SHOWN, int(shown)) if shown.isdecimal() else SHOWN,
            comments=comments,
        )
        renderer = self._session.renderer(request, place)
        facts = renderer.channel_facts(channel)
        return self._session.answer(
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
        channel = self._session.channel(request)
        if channel is None:
            return Response(status_code=404)
        try:
            message = self._workspace.message(channel.id, request.path_params["ts"])
        except Refused:
            return Response(status_code=404)
        renderer = self._session.renderer(request, Location("channel", channel))
        return HTMLResponse(renderer.message_menu(message), headers={"cache-control": "no-store"})

    async def home(self, request: Request) -> Response:
        app = self._app(request)
        if app is None or not app.manifest.home_tab:
            return self._session.missing(request)
        if not request.headers.get("hx-request"):
            await self._workspace.open_home(self._session.acting(request), app.app_id)
        return self._home_page(request, app, "home")

    async def about(self, request: Request) -> Response:
        app = self._app(request)
        return self._session.missing(request) if app is None else self._home_page(request, app, "about")

    def _home_page(self, request: Request, app: InstalledApp, tab: str) -> Response:
        manifest = app.manifest
        place = Location("home", app_id=app.app_id) if tab == "home" else ELSEWHERE
        direct = self._direct_with(request, app) if manifest.messages_tab else None
        return self._session.answer(
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
        pair = {self._session.acting(request), app.bot_user_id}
        rooms = self._workspace.channels_for(self._session.acting(request))
        return next((c for c in rooms if c.is_direct and set(c.members) == pair), None)

    async def browse(self, request: Request) -> Response:
        viewer = self._session.acting(request)
        renderer = self._session.renderer(request, ELSEWHERE)
        rooms = [c for c in self._workspace.channels_for(viewer) if not c.is_direct]
        rooms = sorted([*rooms, *self._workspace.joinable(viewer)], key=lambda c: c.name)
        return self._session.answer(
            request,
            ELSEWHERE,
            "browse.html",
            title="All channels",
            showing="main",
            browsable=[renderer.channel_facts(c) for c in rooms],
            may_create=not self._workspace.person(viewer).is_guest,
        )

    async def people(self, request: Request) -> Response:
        renderer = self._session.renderer(request, ELSEWHERE)
        active = [p for p in self._workspace.people() if not p.deleted]
        authors = sorted((renderer.directory.author(p) for p in active), key=lambda a: (a.is_app, a.name))
        return self._session.answer(
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


# Pages of canvases and files: Markdown as HTML, pictures as such, all else as text.

PICTURES = frozenset({"image/png"})
"""Types of files that a browser draws, and in which it runs nothing."""

_CHECK = re.compile(r"<li>\[([ xX])\] ")
_BOX = '<li class="check"><span role="img" aria-label="{}">{}</span> '


def render_markdown(markdown: str) -> Markup:
    """Return Markdown as HTML, with checkboxes for `[ ]` items; HTML in the text itself is escaped."""
    html = MarkdownIt("commonmark", {"html": False}).enable("table").render(markdown)

    def boxed(found: re.Match[str]) -> str:
        done = found[1] != " "
        return _BOX.format("done" if done else "not done", "☑" if done else "☐")

    return Markup(_CHECK.sub(boxed, html))  # MarkdownIt has escaped it


class Documents:
    def __init__(self, session: Session) -> None:
        self._session = session

    async def canvas(self, request: Request) -> Response:
        return self._shown(request, canvas=True)

    async def file(self, request: Request) -> Response:
        return self._shown(request, canvas=False)

    async def download(self, request: Request) -> Response:
        """Send the file's content as a download, which the browser never runs."""
        file = self._found(request)
        if file is None:
            return self._session.missing(request)
        return Response(
            file.content.encode("utf-8", "surrogateescape"),
            media_type=file.mimetype if file.mimetype in PICTURES else "application/octet-stream",
            headers={
                "content-disposition": f'attachment; filename="{re.sub(r"[^A-Za-z0-9._-]", "-", file.name)}"',
                "cache-control": "no-store",
            },
        )

    def _found(self, request: Request) -> StoredFile | None:
        viewer = self._session.acting(request)
        return self._session.workspace.files.seen_by(viewer, request.path_params["file"])

    def _shown(self, request: Request, *, canvas: bool) -> Response:
        file = self._found(request)
        if file is None or file.is_canvas != canvas:
            return self._session.missing(request)
        is_markdown = canvas or file.filetype == "markdown"
        return self._session.answer(
            request,
            ELSEWHERE,
            "document.html",
            title=file.title,
            showing="main",
            file=file,
            html=render_markdown(file.content) if is_markdown else "",
        )


# A minimal Workflow Builder: a user runs an app's step with inputs and sees its outputs.

STEPS = Location("steps")


class Workflows:
    """Handlers of the page of steps and its run button."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._workspace = session.workspace

    async def show(self, request: Request) -> Response:
        renderer = self._session.renderer(request, STEPS)
        return self._session.answer(
            request,
            STEPS,
            "workflows.html",
            title="Workflow Builder",
            showing="main",
            steps=[
                {"app": app, "callback_id": callback, **step}
                for app in self._workspace.apps()
                for callback, step in app.manifest.functions.items()
            ],
            people=[c for c in renderer.directory.people_choices() if c[2] != "app"],
            rooms=renderer.directory.conversation_choices({"include": ["public", "private"]}),
        )

    async def run(self, request: Request) -> Response:
        """Run a step once, as Slack does for a workflow that a user has just started."""
        person, form = self._session.acting(request), await request.form()
        self._session.notices.clear(person)
        try:
            app = self._workspace.app(request.path_params["app"])
            callback = request.path_params["step"]
            self._workspace.steps.begin(app, callback, _inputs(app, callback, form))
        except Refused as no:
            self._session.notices.add(person, refused(no))
        return see_other("/workflows")


def _inputs(app: InstalledApp, callback: str, form: FormData) -> Json:
    declared = app.manifest.functions.get(callback, {}).get("input_parameters") or {}
    given: Json = {}
    for name, parameter in declared.items():
        typed = str(form.get(name, "")).replace("\r\n", "\n")
        given[name] = name in form if parameter["type"] == "boolean" else typed
    return given


# The fault panel: rate limits, failing calls, lost connections and a clock that a user can advance.

MOST_FAULTS = 100
MOST_MINUTES = 60 * 24 * 30
FAULTS = {
    "limited": ("429, try again in 3 s", Fault(status=429, retry_after=3)),
    "broken": ("500, nothing done", Fault(status=500)),
    "lost": ("done, but the answer is lost", Fault(reset=True, after_effect=True)),
    "reset": ("not done, the connection breaks off", Fault(reset=True)),
    "refused": ("refused (restricted_action)", Fault(error="restricted_action")),
}


class FaultPanel:
    """Handlers of the fault panel and its buttons."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._workspace = session.workspace

    async def show(self, request: Request) -> Response:
        faults, rates = self._workspace.faults, self._workspace.rates
        return self._session.answer(
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
