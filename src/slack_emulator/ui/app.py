"""Routes of the page, and its server-sent events."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from slack_emulator.models import Change
from slack_emulator.ui.actions import Acts, AppActs
from slack_emulator.ui.authentication import Authentication
from slack_emulator.ui.comments import CommentTabs
from slack_emulator.ui.html import HERE
from slack_emulator.ui.pages import Documents, FaultPanel, Pages, Workflows
from slack_emulator.ui.session import Endpoint, PageProtection, Session
from slack_emulator.workspace import Workspace

# Server-sent events that tell an open page of changes it may show.


class Live:
    """Sends events without content: the page then asks for the regions that differ."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def stream(self, request: Request) -> Response:
        viewer = self._session.acting(request)
        return StreamingResponse(
            self._events(viewer), media_type="text/event-stream", headers={"cache-control": "no-store"}
        )

    async def _events(self, viewer: str) -> AsyncIterator[str]:
        with self._session.workspace.subscribe() as changes:
            yield "retry: 1000\nevent: hello\ndata: \n\n"
            async for change in changes:
                if self._concerns(viewer, change):
                    yield f"event: change\ndata: {change.kind}\n\n"

    def _concerns(self, viewer: str, change: Change) -> bool:
        if change.person not in (None, viewer):
            return False
        return change.channel is None or change.kind in ("channel", "member") or self._sees(viewer, change)

    def _sees(self, viewer: str, change: Change) -> bool:
        return self._session.workspace.can_see(viewer, change.channel or "")


# Routes of the page.


def routes(workspace: Workspace, authentication: Authentication, *, advice: str = "") -> list[BaseRoute]:
    """Return every route of the page; `advice` is a hint for a new user."""
    session = Session(workspace, advice)
    tabs = CommentTabs(session, Pages(session))
    guarded = [Middleware(PageProtection, authentication)]
    shown = [Route(p, e, methods=["GET"], middleware=guarded) for p, e in _shown(session, tabs).items()]
    done = [Route(p, e, methods=["POST"], middleware=guarded) for p, e in _done(session, tabs).items()]
    files = Mount("/static", StaticFiles(directory=HERE / "static"), middleware=guarded)
    return [*shown, *done, files]


def _shown(session: Session, tabs: CommentTabs) -> Mapping[str, Endpoint]:
    pages, app_acts, documents = Pages(session), AppActs(session), Documents(session)
    return {
        "/": pages.front,
        "/client": pages.index,
        "/client/{channel}": pages.channel,
        "/client/{channel}/thread/{ts}": pages.thread,
        "/client/{channel}/details": pages.details,
        "/client/{channel}/comments/{ts}": tabs.show,
        "/client/{channel}/messages/{ts}/menu": pages.message_menu,
        "/client/{channel}/messages/{ts}/suggest": app_acts.suggest,
        "/archives/{channel}/p{stamp:int}": pages.permalink,
        "/home/{app}": pages.home,
        "/home/{app}/about": pages.about,
        "/docs/{team}/{file}": documents.canvas,
        "/files/{file}": documents.file,
        "/files/{file}/download": documents.download,
        "/browse": pages.browse,
        "/people": pages.people,
        "/weather": FaultPanel(session).show,
        "/workflows": Workflows(session).show,
        "/views/{view}/suggest": app_acts.suggest,
        "/live": Live(session).stream,
    }


def _done(session: Session, tabs: CommentTabs) -> Mapping[str, Endpoint]:
    acts, app_acts, fault_panel = Acts(session), AppActs(session), FaultPanel(session)
    return {
        "/act-as": acts.act_as,
        "/channels": acts.create,
        "/people/{person}/message": acts.message_person,
        "/notices/{notice:int}/dismiss": acts.dismiss_notice,
        "/shortcut": app_acts.global_shortcut,
        "/home/{app}/chat": app_acts.open_assistant,
        "/workflows/{app}/{step}": Workflows(session).run,
        "/weather/limits": fault_panel.limit,
        "/weather/faults": fault_panel.plan,
        "/weather/clear": fault_panel.clear,
        "/weather/connections": fault_panel.connections,
        "/weather/clock": fault_panel.turn,
        "/client/{channel}/say": acts.say,
        "/client/{channel}/join": acts.join,
        "/client/{channel}/leave": acts.leave,
        "/client/{channel}/archive": acts.archive,
        "/client/{channel}/invite": acts.invite,
        "/client/{channel}/comments/{ts}": tabs.post,
        "/client/{channel}/messages/{ts}/react": acts.react,
        "/client/{channel}/messages/{ts}/pin": acts.pin,
        "/client/{channel}/messages/{ts}/delete": acts.delete,
        "/client/{channel}/messages/{ts}/shortcut": app_acts.message_shortcut,
        "/client/{channel}/messages/{ts}/press": app_acts.press_in_message,
        "/views/{view}/press": app_acts.press_in_view,
        "/views/{view}/typed": app_acts.typed,
        "/views/{view}/submit": app_acts.submit,
        "/views/{view}/dismiss": app_acts.dismiss,
    }
