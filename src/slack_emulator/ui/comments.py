"""The comments tab of a Work Object on the page: its pages of comments, and the posting of one."""

from __future__ import annotations

from collections import OrderedDict

from starlette.requests import Request
from starlette.responses import Response

from slack_emulator.composer import rich_text_of
from slack_emulator.entity_comments import CommentsView
from slack_emulator.messages import names_in
from slack_emulator.models import Channel, Message, Refused
from slack_emulator.ui.pages import Pages
from slack_emulator.ui.session import Session, refused

MOST_OPEN = 100
"""Open tabs that are kept; the one that was opened first is dropped first."""


class CommentTabs:
    """The open tabs, one for each user and message. The page's regions show what the app presented there."""

    def __init__(self, session: Session, pages: Pages) -> None:
        self._session = session
        self._pages = pages
        self._open: OrderedDict[tuple[str, str, str], CommentsView] = OrderedDict()

    async def show(self, request: Request) -> Response:
        """Show the comments of a message's first Work Object; the app is asked when a user opens them."""
        channel = self._session.channel(request)
        if channel is None:
            return self._session.missing(request)
        key = self._key(request)
        if not request.headers.get("hx-request"):
            try:
                look = self._ask(request, channel)
            except Refused:
                return self._session.missing(request)
            self._open.pop(key, None)
            self._open[key] = look
            while len(self._open) > MOST_OPEN:
                self._open.popitem(last=False)
        return self._pages.channel_page(request, "comments", self._open.get(key))

    def _ask(self, request: Request, channel: Channel) -> CommentsView:
        workspace = self._session.workspace
        message = workspace.message(channel.id, request.path_params["ts"])
        cursor = request.query_params.get("cursor", "")
        return workspace.entity_comments.open(
            self._session.acting(request), message, _commented(message), cursor
        )

    async def post(self, request: Request) -> Response:
        """Post a comment in the open tab."""
        look, workspace = self._open.get(self._key(request)), self._session.workspace
        typed = str((await request.form()).get("text", "")).replace("\r\n", "\n")
        blocks = rich_text_of(typed, names_in(workspace.state))
        if look is None or not blocks:
            return self._session.done(request, refused(Refused("invalid_action")))
        return self._session.done(request, await workspace.entity_comments.post(look, blocks[0]))

    def _key(self, request: Request) -> tuple[str, str, str]:
        return self._session.acting(request), request.path_params["channel"], request.path_params["ts"]


def _commented(message: Message) -> str:
    """Return the link to the message's first Work Object that has comments; "" if there is none."""
    found = (a for a in message.attachments if "entity_comments" in a.get("entity", {}))
    return str(next(found, {}).get("app_unfurl_url", ""))
