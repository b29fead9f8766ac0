"""Comments of Work Objects: what apps present, and what users post, edit and delete there."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from slack_emulator.block_kit import block_errors
from slack_emulator.delivery import Delivery
from slack_emulator.events import Events
from slack_emulator.interactions import refusal, unanswered
from slack_emulator.models import Change, InstalledApp, Json, Message, Outcome, Refused
from slack_emulator.payloads import Payloads
from slack_emulator.schema import (
    Array,
    Boolean,
    Enum,
    Errors,
    Integer,
    Object,
    Schema,
    String,
    Url,
    error_line,
    exactly_one,
)
from slack_emulator.state import State
from slack_emulator.unfurls import TROUBLES, EntityView
from slack_emulator.views import Views

# Validation of the comments that an app presents (Slack, Work Objects: comments, the comment schema).

MOST_COMMENTS = 100
"""Comments that are asked for at once (Slack, entity_comments_requested: `limit`)."""


class _RichText:
    """The one rich_text block of a comment."""

    def errors(self, value: object, at: str) -> Errors:
        blocks = [value] if isinstance(value, dict) else value
        if not isinstance(blocks, list) or len(blocks) != 1 or blocks[0].get("type") != "rich_text":
            yield error_line("must provide one rich_text block", at)
        else:
            yield from block_errors(blocks, "message")


_SENDER = Object(
    optional={"user_id": String(), "name": String(255), "email": String(255), "url": Url()},
    rules=(exactly_one("user_id", "name"),),
)
_SAID = Object(
    optional={"value": String(), "format": Enum("markdown"), "blocks": _RichText()},
    rules=(exactly_one("value", "blocks"),),
)
_NEEDED: dict[str, Schema] = {"id": String(255), "sender": _SENDER, "timestamp": Integer(0), "comment": _SAID}
COMMENT = Object(
    _NEEDED,
    {
        "url": Url(),
        "cursor": String(),
        "last_edit_ts": Integer(0),
        "can_edit": Boolean(),
        "can_delete": Boolean(),
        "can_reply": Boolean(),
        "reply_count": Integer(0),
        "reply_users": Array(_SENDER, 2, min_items=0),
        "latest_reply_ts": Integer(0),
        "thread_root_id": String(255),
    },
)


@dataclass
class CommentAction:
    """A comment that a user posted, edited or deleted, until the app has acknowledged it."""

    kind: Literal["post", "edit", "delete"]
    look: CommentsView
    comment_id: str = ""
    error: str = ""
    """Sentence of the app, if it did not do it."""
    answered: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class CommentsView:
    """A user's view of a Work Object's comments (Slack, Work Objects: the comments tab of the flexpane)."""

    entity: EntityView
    """The Work Object, who looks at it, and the message with its link."""
    comments: list[Json] = field(default_factory=list)
    cursor: str = ""
    can_post: bool = False
    delete_action_id: str = ""
    acted: list[CommentAction] = field(default_factory=list)
    """Comments that the user posted, edited or deleted here, the newest last."""
    error: Json = field(default_factory=dict)
    answered: asyncio.Event = field(default_factory=asyncio.Event)

    def comment(self, comment_id: str, permission: str) -> Json:
        """Return the comment with this id. Raises Refused if the app does not permit to change it."""
        for shown in self.comments:
            if shown["id"] == comment_id and shown.get(permission):
                return shown
        raise Refused("invalid_action")


@dataclass(frozen=True)
class Presented:
    """The arguments of entity.presentComments."""

    comments: list[Any] | None
    can_post: bool
    cursor: str
    delete_action_id: str
    error: Json | None


class EntityComments:
    """The comments tab of Work Objects: the app is asked for each page, and told of what users write."""

    def __init__(
        self, state: State, events: Events, views: Views, delivery: Delivery, payloads: Payloads
    ) -> None:
        self._state = state
        self._events = events
        self._views = views
        self._delivery = delivery
        self._payloads = payloads
        self._asked: dict[str, CommentsView] = {}
        self._acts: dict[str, CommentAction] = {}

    # reading

    def open(self, person: str, message: Message, url: str, cursor: str = "") -> CommentsView:
        """Open the comments of the Work Object at this link, or the page of this cursor.

        The app is asked for them (Slack, entity_comments_requested). Refused with `entity_not_found`, or
        with `comments_not_supported` if the app attached no `entity_comments`.
        """
        found = next((a for a in message.attachments if a.get("app_unfurl_url") == url), None)
        if found is None or "entity" not in found:
            raise Refused("entity_not_found")
        app, entity = self._state.apps[found["app_id"]], found["entity"]
        if "entity_comments" not in entity:
            raise Refused("comments_not_supported")
        opened = EntityView(person, app.app_id, entity["url"], entity["external_ref"], url, message)
        look = CommentsView(opened)
        trigger_id = self._views.trigger(app, person, channel=message.channel)
        self._asked[trigger_id] = look
        event: Json = {
            "type": "entity_comments_requested",
            "user": person,
            "external_ref": entity["external_ref"],
            "entity_url": entity["url"],
            "link": {"url": url, "domain": urlsplit(url).hostname},
            "limit": MOST_COMMENTS,
            "trigger_id": trigger_id,
            **({"cursor": cursor} if cursor else {}),
        }
        self._events.emit(event, only=app)
        return look

    def present(self, app: InstalledApp, trigger_id: str, shown: Presented) -> None:
        """Store the page of comments or the error that the app presents (Slack, entity.presentComments)."""
        look = self._asked.get(trigger_id)
        if look is None or look.entity.app_id != app.app_id:
            raise Refused("invalid_trigger_id")
        if shown.error is not None and shown.error.get("status") not in TROUBLES:
            raise Refused("invalid_arguments", "[ERROR] error.status is not one of Slack's")
        comments = shown.comments or []
        if wrong := list(Array(COMMENT, MOST_COMMENTS, min_items=0).errors(comments, "/comments")):
            raise Refused("invalid_arguments", *wrong)
        if any(one.get("can_delete") for one in comments) and not shown.delete_action_id:
            raise Refused("missing_delete_action_id")
        look.comments, look.cursor = comments, shown.cursor
        look.can_post, look.delete_action_id = shown.can_post, shown.delete_action_id
        look.error = shown.error or {}
        look.answered.set()
        self._state.feed.announce(Change("message_changed", person=look.entity.person))

    def _require_sender(self, comment: Mapping[str, Any]) -> None:
        user = comment["sender"].get("user_id")
        if user is not None and user not in self._state.people:
            raise Refused("invalid_sender_schema")

    # writing

    async def post(self, look: CommentsView, rich_text: Json) -> Outcome:
        """Post a comment, a rich_text block; the app acknowledges it afterwards (`look.acted`)."""
        if not look.can_post:
            return refusal(Refused("invalid_action"))
        return await self._submit(CommentAction("post", look), rich_text)

    async def edit(self, look: CommentsView, comment_id: str, rich_text: Json) -> Outcome:
        """Replace the text of a comment that the app lets this user edit."""
        try:
            look.comment(comment_id, "can_edit")
        except Refused as no:
            return refusal(no)
        return await self._submit(CommentAction("edit", look, comment_id), rich_text)

    async def _submit(self, act: CommentAction, rich_text: Json) -> Outcome:
        look, app = act.look, self._state.apps[act.look.entity.app_id]
        trigger = self._begin(act, app)
        try:
            actor = self._state.active_person(look.entity.person)
        except Refused as no:
            return refusal(no)
        payload = self._payloads.entity_submission(
            app, actor, look.entity, f"work-object-{act.kind}-comment", act.comment_id, rich_text, trigger
        )
        answer = await self._delivery.deliver(app, "interactive", payload, "view_submission")
        if not answer.ok:
            return unanswered(answer, "That comment", app)
        if answer.response:
            return refusal(Refused("invalid_response_action"))
        return Outcome(True)

    async def delete(self, look: CommentsView, comment_id: str) -> Outcome:
        """Delete a comment that the app lets this user delete."""
        try:
            look.comment(comment_id, "can_delete")
            actor = self._state.active_person(look.entity.person)
        except Refused as no:
            return refusal(no)
        app = self._state.apps[look.entity.app_id]
        trigger = self._begin(CommentAction("delete", look, comment_id), app)
        action = {
            "type": "button",
            "action_id": look.delete_action_id,
            "value": comment_id,
            "action_ts": self._state.next_ts(),
        }
        payload = self._payloads.entity_action(app, actor, look.entity, [action], trigger, "entity_comment")
        answer = await self._delivery.deliver(app, "interactive", payload, "block_actions")
        return Outcome(True) if answer.ok else unanswered(answer, look.delete_action_id, app)

    def _begin(self, act: CommentAction, app: InstalledApp) -> str:
        trigger = self._views.trigger(app, act.look.entity.person, channel=act.look.entity.message.channel)
        self._acts[trigger] = act
        act.look.acted.append(act)
        return trigger

    def acknowledge(self, app: InstalledApp, trigger_id: str, comment: Json | None, error: str) -> None:
        """Do what the user did, or show the app's error (Slack, entity.acknowledgeCommentAction)."""
        act = self._acts.get(trigger_id)
        if act is None or act.look.entity.app_id != app.app_id or act.answered.is_set():
            raise Refused("invalid_trigger_id")
        if error:
            act.error = error
        elif act.kind == "delete":
            act.look.comments = [one for one in act.look.comments if one["id"] != act.comment_id]
        else:
            self._carry_out(act, comment or {})
        act.answered.set()
        self._state.feed.announce(Change("message_changed", person=act.look.entity.person))

    def _carry_out(self, act: CommentAction, comment: Json) -> None:
        if any(name not in comment for name in _NEEDED):
            raise Refused("missing_comment_data")
        if wrong := list(COMMENT.errors(comment, "/comment")):
            if list(_SENDER.errors(comment["sender"], "/comment/sender")):
                raise Refused("invalid_sender_schema", *wrong)
            raise Refused("missing_comment_data", *wrong)
        self._require_sender(comment)
        if (act.kind == "edit" and comment["id"] != act.comment_id) or comment.get("thread_root_id"):
            raise Refused("invalid_action")
        others = [one for one in act.look.comments if one["id"] != comment["id"]]
        act.look.comments = [comment, *others]
