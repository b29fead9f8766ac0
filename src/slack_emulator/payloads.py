"""Interaction payloads as Slack sends them: commands, shortcuts, actions, submissions."""

from __future__ import annotations

from slack_emulator.models import Channel, InstalledApp, Json, Message, Person, View
from slack_emulator.serializers import enterprise_of, message_json, view_json
from slack_emulator.state import State, new_id
from slack_emulator.unfurls import EntityView

TEAMLESS = frozenset({"shortcut", "view_submission", "view_closed", "block_actions_in_view"})
"""Payloads without `team` for an org-wide installation (Slack, org-ready apps: see `user.team_id`)."""


class Payloads:
    def __init__(self, state: State) -> None:
        self._state = state

    def _interaction(self, kind: str, app: InstalledApp, person: Person, *, in_view: bool = False) -> Json:
        """Return the fields that all interactions have.

        In a view, `team` is the user's workspace and not the app's (Slack, interactions in channels that are
        shared): only the view itself names the app's.
        """
        team, org = self._state.team, self._state.org
        home = person.team_id or team.id
        enterprise = {"id": org.id, "name": org.name} if org else None
        where: Json | None = {"id": team.id, "domain": team.domain}
        if in_view and person.is_foreign:
            enterprise = enterprise_of(self._state, person)
            where = {"id": home, "domain": home.lower()}
        if where and enterprise:
            where |= {"enterprise_id": enterprise["id"], "enterprise_name": enterprise["name"]}
        if app.org and kind in TEAMLESS:
            where = None
        return {
            "type": kind,
            "team": where,
            "user": {"id": person.id, "username": person.name, "name": person.name, "team_id": home},
            "api_app_id": app.app_id,
            "token": app.verification_token,
            "enterprise": enterprise,
            "is_enterprise_install": bool(app.org),
        }

    def channel_name(self, channel: Channel) -> str:
        """Return the name for a payload: Slack names no private channel or direct message to an app."""
        return {"im": "directmessage", "mpim": "privategroup", "private": "privategroup"}.get(
            channel.kind, channel.name
        )

    def command(
        self,
        app: InstalledApp,
        person: Person,
        channel: Channel,
        command: str,
        text: str,
        trigger_id: str,
        response_url: str,
    ) -> Json:
        """Return the fields of a slash command, all strings as in the form that Slack posts."""
        team, org = self._state.team, self._state.org
        enterprise = {"enterprise_id": org.id, "enterprise_name": org.name} if org else {}
        return {
            "token": app.verification_token,
            "team_id": person.team_id or team.id,
            "team_domain": person.team_id.lower() or team.domain,
            **enterprise,
            "channel_id": channel.id,
            "channel_name": self.channel_name(channel),
            "user_id": person.id,
            "user_name": person.name,
            "command": command,
            "text": text,
            "api_app_id": app.app_id,
            "is_enterprise_install": "true" if app.org else "false",
            "response_url": response_url,
            "trigger_id": trigger_id,
        }

    def global_shortcut(self, app: InstalledApp, person: Person, callback_id: str, trigger_id: str) -> Json:
        return self._interaction("shortcut", app, person) | {
            "action_ts": self._state.next_ts(),
            "callback_id": callback_id,
            "trigger_id": trigger_id,
        }

    def message_shortcut(
        self,
        app: InstalledApp,
        person: Person,
        callback_id: str,
        channel: Channel,
        message: Message,
        trigger_id: str,
        response_url: str,
    ) -> Json:
        return self._interaction("message_action", app, person) | {
            "action_ts": self._state.next_ts(),
            "callback_id": callback_id,
            "trigger_id": trigger_id,
            "response_url": response_url,
            "message_ts": message.ts,
            "message": message_json(self._state, message),
            "channel": {"id": channel.id, "name": self.channel_name(channel)},
        }

    def view_action(
        self, app: InstalledApp, person: Person, view: View, actions: list[Json], trigger_id: str
    ) -> Json:
        return self._interaction("block_actions_in_view", app, person, in_view=True) | {
            "type": "block_actions",
            "container": {"type": "view", "view_id": view.id},
            "trigger_id": trigger_id,
            "view": view_json(self._state, view, app),
            "actions": actions,
        }

    def message_action(
        self,
        app: InstalledApp,
        person: Person,
        message: Message,
        actions: list[Json],
        values: Json,
        trigger_id: str,
        response_url: str,
    ) -> Json:
        channel = self._state.channel(message.channel)
        ephemeral = message.ephemeral_to is not None
        container: Json = {
            "type": "message",
            "message_ts": message.ts,
            "channel_id": channel.id,
            "is_ephemeral": ephemeral,
        }
        if message.thread_ts is not None:
            container["thread_ts"] = message.thread_ts
        body = self._interaction("block_actions", app, person) | {
            "container": container,
            "trigger_id": trigger_id,
            "channel": {"id": channel.id, "name": self.channel_name(channel)},
            "state": {"values": values},
            "response_url": response_url,
            "actions": actions,
        }
        if not ephemeral:
            body["message"] = message_json(self._state, message)
        return body

    def entity_action(
        self,
        app: InstalledApp,
        person: Person,
        look: EntityView,
        actions: list[Json],
        trigger_id: str,
        where: str = "entity_detail",
    ) -> Json:
        """Return the payload of a button in a Work Object's details or, as `entity_comment`, in its comments.

        Source: Slack, Work Objects: actions, comments.
        """
        container: Json = {
            "type": where,
            "entity_url": look.url,
            "external_ref": look.external_ref,
            "app_unfurl_url": look.app_unfurl_url,
            "message_ts": look.message.ts,
            "channel_id": look.message.channel,
        }
        if look.message.thread_ts is not None:
            container["thread_ts"] = look.message.thread_ts
        return self._interaction("block_actions", app, person) | {
            "container": container,
            "trigger_id": trigger_id,
            "actions": actions,
        }

    def suggestion(
        self, app: InstalledApp, person: Person, block_id: str, action_id: str, query: str, where: Json
    ) -> Json:
        return (
            self._interaction("block_suggestion", app, person, in_view="view" in where)
            | {"action_id": action_id, "block_id": block_id, "value": query}
            | where
        )

    def view_container(self, app: InstalledApp, view: View) -> Json:
        return {
            "container": {"type": "view", "view_id": view.id},
            "view": view_json(self._state, view, app),
        }

    def message_container(self, message: Message) -> Json:
        container = {"type": "message", "message_ts": message.ts, "channel_id": message.channel}
        channel = self._state.channel(message.channel)
        return {
            "container": container,
            "channel": {"id": channel.id, "name": self.channel_name(channel)},
            "message": message_json(self._state, message),
        }

    def submission(
        self, app: InstalledApp, person: Person, view: View, trigger_id: str, response_urls: list[Json]
    ) -> Json:
        return self._interaction("view_submission", app, person, in_view=True) | {
            "trigger_id": trigger_id,
            "view": view_json(self._state, view, app),
            "response_urls": response_urls,
        }

    def entity_submission(
        self,
        app: InstalledApp,
        person: Person,
        look: EntityView,
        callback_id: str,
        comment_id: str,
        rich_text: Json,
        trigger_id: str,
    ) -> Json:
        """Return the payload of a comment that was posted or edited (Slack, Work Objects: comments)."""
        typed = {"type": "rich_text_input", "rich_text_value": rich_text}
        view: Json = {
            "id": new_id("V"),
            "team_id": person.team_id or self._state.team.id,
            "type": "entity_comment",
            "blocks": [],
            "private_metadata": "",
            "callback_id": callback_id,
            "state": {"values": {"comment_input_block": {"comment_input_action": typed}}},
            "hash": "",
            "external_id": comment_id,
            "app_id": app.app_id,
            "app_installed_team_id": app.org or self._state.team.id,
            "bot_id": app.bot_id,
            "entity_url": look.url,
            "external_ref": look.external_ref,
            "app_unfurl_url": look.app_unfurl_url,
            "message_ts": look.message.ts,
            "channel": look.message.channel,
        }
        if look.message.thread_ts is not None:
            view["thread_ts"] = look.message.thread_ts
        return self._interaction("view_submission", app, person, in_view=True) | {
            "trigger_id": trigger_id,
            "view": view,
            "response_urls": [],
        }

    def closed(self, app: InstalledApp, person: Person, view: View, is_cleared: bool) -> Json:
        return self._interaction("view_closed", app, person, in_view=True) | {
            "view": view_json(self._state, view, app),
            "is_cleared": is_cleared,
        }
