"""Client of one Slack workspace: modals, the Home tab, ephemeral replies and Workflow Builder steps.

Its channels, messages, files and users have modules of their own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import aiohttp
import structlog
from slack_sdk.models.blocks import Block
from slack_sdk.models.views import View
from slack_sdk.web.async_client import AsyncWebClient

from tocsin.incidents.comments import CommentCount, CommentPage
from tocsin.incidents.errors import SlackRefused, Unavailable
from tocsin.incidents.model import Incident, PersonId, TeamId, TimelineEntry
from tocsin.slack.channels import Channels
from tocsin.slack.disclosure import NOTHING, Anybody, Disclosure, shown_to
from tocsin.slack.files import Files
from tocsin.slack.form_alerts import FormAlerts
from tocsin.slack.installations import Installation
from tocsin.slack.messages import MessagePoster, Messages
from tocsin.slack.rate_limiter import Priority
from tocsin.slack.users import HomeTeam, Users
from tocsin.slack.views.blocks import escape
from tocsin.slack.views.declare import already_modal, declared_modal, error_modal
from tocsin.slack.views.metadata import DeclareMetadata
from tocsin.slack.views.unfurl import comment, details
from tocsin.slack.web_api import Method, WebApi, method_of, require

log = structlog.get_logger()

ENDED = frozenset({"execution_not_in_running_state", "function_execution_not_found"})
"""Errors for a step that was completed before or whose workflow was stopped (functions.completeSuccess)."""

NO_COMMENTS = CommentPage()
NOT_INSTALLED = "Tocsin is not installed in this workspace; an admin can install it again."


class SlackWorkspace:
    """SlackClient of one workspace, with the permissions of its bot.

    Calls about channels, messages, files and people are in `channels`, `messages`, `files` and `users`.
    """

    def __init__(
        self,
        client: AsyncWebClient,
        *,
        clock: Callable[[], datetime],
        team_id: TeamId,
        calls: WebApi | None = None,
    ) -> None:
        """Every call raises Unavailable until `enter` is called."""
        self.client = client
        self.api = calls or WebApi()
        self.team_id = team_id
        self.home_url = ""
        self.bot_user_id = ""
        self.form_alerts = FormAlerts()
        self._clock = clock
        self._posts = MessagePoster(client, self.api)
        self.channels = Channels(client, self.api)
        self.messages = Messages(client, self.api, self._posts)
        self.files = Files(client, self.api, self._posts, team_id)
        self.users = Users(client, self.api, HomeTeam(team_id))
        if team_id:
            # An org-wide token serves many workspaces and needs this argument; other tokens ignore it
            # (Slack, org-ready apps).
            client.default_params["team_id"] = team_id
        self.leave()

    @property
    def home(self) -> HomeTeam:
        """Ids of the workspace and its organization, by which its own people are recognized."""
        return self.users.home

    def enter(self, installation: Installation) -> None:
        """Use this installation from now on: Tocsin was installed here, or has a new token."""
        self.client.token = installation.bot_token
        self.home_url = self.files.home_url = installation.url
        self.bot_user_id = installation.bot_user_id
        self._posts.bot_user_id = self.channels.bot_user_id = installation.bot_user_id
        self.users.home = HomeTeam(self.team_id, installation.enterprise_id)
        self.api.closed = ""

    def leave(self) -> None:
        """Stop all calls, since Tocsin is not installed here: they raise Unavailable, and workflows wait."""
        self.client.token = None
        self.api.closed = NOT_INSTALLED

    async def open_modal(self, trigger_id: str, view: View, about: Disclosure) -> str:
        """Open a modal and return its id; a trigger works once, within 3 s (Slack, views.open)."""
        opened = self.client.views_open

        async def call(shown: Mapping[str, Any]) -> Mapping[str, Any]:
            return await self.api.call_with_trigger(opened, about=about, trigger_id=trigger_id, view=shown)

        answer = await self.form_alerts.send(view, call)
        return require(answer, "view", "id")

    async def push_modal(self, trigger_id: str, view: View, about: Disclosure) -> str:
        """Put a modal on top of the open one and return its id; at most three (Slack, views.push)."""
        pushed = self.client.views_push

        async def call(shown: Mapping[str, Any]) -> Mapping[str, Any]:
            return await self.api.call_with_trigger(pushed, about=about, trigger_id=trigger_id, view=shown)

        answer = await self.form_alerts.send(view, call)
        return require(answer, "view", "id")

    async def update_modal(
        self, view_id: str, view: View, about: Disclosure, *, seen: str | None = None
    ) -> bool:
        """Replace an open modal; return False if it was closed, or if its hash is not the one `seen`."""
        update = self.client.views_update

        async def call(shown: Mapping[str, Any]) -> Mapping[str, Any]:
            return await self.api.call(
                update, Priority.ANSWER, about=about, view_id=view_id, view=shown, hash=seen
            )

        try:
            await self.form_alerts.send(view, call)
        except SlackRefused as refusal:
            if refusal.code not in {"not_found", "hash_conflict"}:
                raise
            return False
        return True

    async def learn_alerts(self) -> None:
        """Find out if Slack takes alert blocks here. Raises Unavailable."""
        validate, later = self.client.blocks_validate, Priority.CARD
        await self.form_alerts.learn(lambda view: self.api.call(validate, later, view=view))

    async def publish_home(self, person: PersonId, view: View, *shown: Incident) -> None:
        """Publish a person's Home tab, which contains the incidents `shown` (Slack, views.publish)."""
        await self.api.call(
            self.client.views_publish,
            Priority.CARD,
            about=shown_to(person, *shown),
            user_id=person,
            view=view.to_dict(),
        )

    async def present(
        self,
        trigger_id: str,
        incident: Incident | None,
        person: PersonId | None,
        counted: CommentCount | None = None,
    ) -> None:
        """Show a person the details of an incident; without one, an error (Slack, entity.presentDetails).

        A trigger works once, within 3 s.
        """
        shown: dict[str, Any] = (
            {"metadata": details(incident, counted)} if incident else {"error": {"status": "not_found"}}
        )
        about = shown_to(person, incident) if incident else NOTHING
        present = self.client.entity_presentDetails
        await self.api.call_now(present, about=about, trigger_id=trigger_id, **shown)

    async def present_comments(
        self,
        trigger_id: str,
        person: PersonId | None,
        incident: Incident | None,
        page: CommentPage = NO_COMMENTS,
        *,
        can_post: bool = False,
        trouble: str = "not_found",
    ) -> None:
        """Show a person a page of comments; without an incident, an error (Slack, entity.presentComments).

        The reference names no shape of its `error`; it is taken to be that of entity.presentDetails.
        """
        link = incident.permalink if incident else None
        shown: dict[str, Any] = {
            "comments": [comment(entry, link) for entry in page.comments],
            "can_post_comment": can_post,
            **({"cursor": page.cursor} if page.cursor else {}),
            **({} if incident else {"error": {"status": trouble}}),
        }
        about = shown_to(person, incident) if incident else NOTHING
        present = method_of(self.client, "entity.presentComments")
        await self.api.call_now(present, about=about, trigger_id=trigger_id, **shown)

    async def acknowledge_comment(
        self, trigger_id: str, person: PersonId | None, incident: Incident, entry: TimelineEntry
    ) -> None:
        """Show a person the comment that they posted (Slack, entity.acknowledgeCommentAction)."""
        acknowledge = method_of(self.client, "entity.acknowledgeCommentAction")
        said, about = comment(entry, incident.permalink), shown_to(person, incident)
        await self.api.call_now(acknowledge, about=about, trigger_id=trigger_id, comment=said)

    async def refuse_comment(self, trigger_id: str, sentence: str) -> None:
        acknowledge = method_of(self.client, "entity.acknowledgeCommentAction")
        await self.api.call_now(acknowledge, about=NOTHING, trigger_id=trigger_id, error=sentence)

    async def ping(self) -> None:
        await self.api.call(self.client.auth_test, Priority.ANSWER)

    async def group_members(self, group: str) -> Sequence[PersonId] | None:
        return await self.users.group(group)

    async def show_declared(
        self, view_id: str, person: PersonId | None, incident: Incident, problems: Sequence[str]
    ) -> bool:
        view = declared_modal(incident, incident.slack_channel_name, problems)
        return await self.update_modal(view_id, view, shown_to(person, incident))

    async def show_already_declared(self, view_id: str, person: PersonId | None, incident: Incident) -> bool:
        view = already_modal(incident, self._clock(), DeclareMetadata())
        return await self.update_modal(view_id, view, shown_to(person, incident))

    async def show_not_declared(self, view_id: str, sentence: str) -> bool:
        return await self.update_modal(view_id, error_modal("Not declared", sentence), NOTHING)

    async def say_to(
        self, person: PersonId, text: str, about: Disclosure, blocks: Sequence[Block] = ()
    ) -> None:
        """Send a direct message as the reply to an interaction; it is lost if the process dies first."""
        key = f"answer:{uuid4()}"
        await self._posts.post(person, text, blocks or None, about=about, key=key, priority=Priority.ANSWER)

    async def answer(self, response_url: str, sentence: str) -> None:
        """Reply as `reply` does, with an escaped sentence that shows nothing of an incident."""
        await self.reply(response_url, escape(sentence), NOTHING)

    async def reply(
        self,
        response_url: str,
        text: str,
        about: Disclosure,
        blocks: Sequence[Block] = (),
        *,
        instead: bool = False,
    ) -> None:
        """Reply by the request's `response_url`, in a message that only the person who asked can see.

        The URL works five times within half an hour (Slack, handling interactions: response_url). It must be
        Slack's own, or on the host of our Slack API. With `instead` the reply replaces the message whose
        button was pressed. Raises Withheld if the person may not read an incident that it is `about`.
        """
        try:
            parts = urlsplit(response_url)
        except ValueError:
            raise SlackRefused("response_url", "invalid_url") from None
        ours = parts.netloc == urlsplit(self.client.base_url).netloc
        if not ours and (parts.scheme, parts.hostname) != ("https", "hooks.slack.com"):
            raise SlackRefused("response_url", "invalid_url")
        await self.api.check_disclosure(about, "response_url")
        assert self.client.session is not None
        said: dict[str, Any] = {"response_type": "ephemeral", "text": text, "replace_original": instead}
        if blocks:
            said["blocks"] = [block.to_dict() for block in blocks]
        try:
            async with self.client.session.post(response_url, json=said) as answered:
                if answered.status != 200:
                    raise Unavailable(f"Slack did not take the answer (HTTP {answered.status}).")
        except (TimeoutError, aiohttp.ClientError) as error:
            raise Unavailable("Slack cannot be reached.") from error

    async def complete_step(self, run: str, outputs: Mapping[str, str], *, about: Incident | None) -> None:
        carried = Disclosure((about,), Anybody()) if about is not None else NOTHING
        await self._end_step(self.client.functions_completeSuccess, run, carried, outputs=dict(outputs))

    async def fail_step(self, run: str, sentence: str) -> None:
        await self._end_step(self.client.functions_completeError, run, NOTHING, error=escape(sentence))

    async def _end_step(self, method: Method, run: str, about: Disclosure, **said: Any) -> None:
        try:
            await self.api.call(method, Priority.ANSWER, about=about, function_execution_id=run, **said)
        except SlackRefused as refusal:
            if refusal.code not in ENDED:
                raise


# Messages to the operator.

_ESCAPED_CHANNEL, _CHANNEL = re.compile(r"&lt;#([CG][A-Z0-9]{2,})&gt;"), r"<#\1>"
"""Link to a channel, as `escape` leaves it and as Slack reads it. It mentions no person."""


class SlackOperator:
    """Sender of messages to Tocsin's operator in one workspace.

    `to` is a channel or a person; with None the messages go only to the log.
    """

    def __init__(self, workspace: SlackWorkspace, to: str | None) -> None:
        self._workspace = workspace
        self._to = to

    async def say(self, sentence: str, key: str, again: bool) -> None:
        """Post a sentence once for each key. Raises Unavailable while Slack cannot be reached."""
        if not self._to:
            log.warning("nobody to tell; set TOCSIN_ADMIN_CHANNEL", what=sentence)
            return
        try:
            said = f":warning: {_ESCAPED_CHANNEL.sub(_CHANNEL, escape(sentence))}"
            await self._workspace.messages.tell(PersonId(self._to), said, about=None, key=key, again=again)
        except SlackRefused as refusal:
            log.error("the operator cannot be told", where=self._to, why=refusal.sentence, what=sentence)
