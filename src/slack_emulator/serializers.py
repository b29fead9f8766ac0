"""Users, channels, messages and views as Slack's JSON."""

from __future__ import annotations

import unicodedata

from slack_emulator.composer import rich_text_of_mrkdwn
from slack_emulator.models import Channel, InstalledApp, Json, Message, Person, UserGroup, View
from slack_emulator.state import State

CHANNEL_TYPES = {"public": "channel", "private": "group", "im": "im", "mpim": "mpim"}


def _without_accents(name: str) -> str:
    """Return a name for a `…_normalized` field (Slack, user profile: without diacritics)."""
    apart = unicodedata.normalize("NFKD", name)
    return "".join(letter for letter in apart if not unicodedata.combining(letter))


def enterprise_of(state: State, person: Person) -> Json | None:
    """Return the organization. Returns None if the user's workspace does not belong to it."""
    org = state.org
    if org is None or (person.is_foreign and person.org != org.id):
        return None
    return {"id": org.id, "name": org.name}


def _profile(state: State, person: Person) -> Json:
    first, _, last = person.real_name.partition(" ")
    return {
        "real_name": person.real_name,
        "real_name_normalized": _without_accents(person.real_name),
        "display_name": person.display_name,
        "display_name_normalized": _without_accents(person.display_name),
        "first_name": first,
        "last_name": last,
        "title": person.title,
        "phone": "",
        "skype": "",
        "status_text": person.status_text,
        "status_emoji": person.status_emoji,
        "status_emoji_display_info": [],
        "status_expiration": 0,
        "team": person.team_id or state.team.id,
        **({"api_app_id": person.app_id} if person.app_id else {}),
    }


def user_json(state: State, person: Person) -> Json:
    enterprise = enterprise_of(state, person)
    profile = _profile(state, person)
    if not person.is_bot and (not person.is_foreign or enterprise):
        profile["email"] = person.email
    body: Json = {
        "id": person.id,
        "team_id": person.team_id or state.team.id,
        "name": person.name,
        "deleted": person.deleted,
        "profile": profile,
        "is_bot": person.is_bot,
        "is_app_user": False,
        "updated": int(state.now()),
    }
    if enterprise and not person.is_bot:
        body["enterprise_user"] = {
            "id": person.id,
            "enterprise_id": enterprise["id"],
            "enterprise_name": enterprise["name"],
            "is_admin": False,
            "is_owner": False,
            "teams": [person.team_id or state.team.id],
        }
    if person.is_foreign:
        # Slack, user object: true if the app can see no channel that the user shares with this workspace.
        body["is_stranger"] = not any(person.id in c.members for c in state.channels.values())
    if person.deleted:
        return body
    return body | {
        "color": person.color,
        "real_name": person.real_name,
        "tz": person.tz,
        "tz_label": person.tz,
        "tz_offset": 0,
        "is_admin": person.role in ("owner", "admin"),
        "is_owner": person.role == "owner",
        "is_primary_owner": person.role == "owner",
        "is_restricted": person.is_guest,
        "is_ultra_restricted": person.role == "single_channel_guest",
    }


def channel_json(state: State, channel: Channel, viewer: str) -> Json:
    member = viewer in channel.members
    if channel.kind == "im":
        other = next((m for m in channel.members if m != viewer), viewer)
        return {
            "id": channel.id,
            "created": channel.created,
            "is_im": True,
            "is_archived": channel.archived,
            "user": other,
            "is_user_deleted": state.people[other].deleted,
            "context_team_id": state.team.id,
        }
    return {
        "id": channel.id,
        "name": channel.name,
        "name_normalized": channel.name,
        "is_channel": channel.kind == "public",
        "is_group": channel.kind == "private",
        "is_im": False,
        "is_mpim": channel.kind == "mpim",
        "is_private": channel.kind != "public",
        "created": channel.created,
        "creator": channel.creator,
        "is_archived": channel.archived,
        "is_general": channel.is_general,
        "is_shared": bool(channel.shared_with or channel.shared_in_org),
        "is_org_shared": bool(channel.shared_in_org),
        "is_ext_shared": bool(channel.shared_with),
        "shared_team_ids": [state.team.id, *channel.shared_in_org, *channel.shared_with],
        "is_member": member,
        "context_team_id": state.team.id,
        "topic": _described(channel.topic, channel.topic_creator, channel.topic_last_set),
        "purpose": _described(channel.purpose, channel.purpose_creator, channel.purpose_last_set),
        "previous_names": [],
        "num_members": len(channel.members),
    }


def _described(value: str, creator: str, last_set: int) -> Json:
    """Return a topic or a purpose with its author (Slack, conversation object)."""
    return {"value": value, "creator": creator, "last_set": last_set}


def bot_json(state: State, app: InstalledApp) -> Json:
    return {
        "id": app.bot_id,
        "app_id": app.app_id,
        "user_id": app.bot_user_id,
        "name": app.name,
        "deleted": False,
        "updated": int(state.now()),
        "icons": {},
        "team_id": state.team.id,
    }


def message_json(state: State, message: Message, *, metadata: bool = False) -> Json:
    """Return a message as JSON, with its metadata only if `metadata` (Slack, include_all_metadata)."""
    body: Json = {"type": "message", "ts": message.ts, "text": message.text, "team": state.team.id}
    optional = {
        "subtype": message.subtype,
        "user": message.user,
        "bot_id": message.bot_id,
        "app_id": message.app_id,
        "username": message.username,
        "blocks": message.blocks,
        "attachments": message.attachments,
        "files": message.files,
        "thread_ts": message.thread_ts,
        "edited": message.edited,
        "metadata": message.metadata if metadata else None,
    }
    body |= {key: value for key, value in optional.items() if value}
    if message.subtype == "assistant_app_thread":
        body["assistant_app_thread"] = {"title": message.text, "title_blocks": [], "artifacts": []}
    app = next((a for a in state.apps.values() if a.bot_id == message.bot_id), None)
    if app is not None:
        body["bot_profile"] = bot_json(state, app)
        if not message.blocks and message.subtype in (None, "bot_message", "thread_broadcast"):
            # Slack makes a rich_text block of an app's text, and returns it wherever the message is read.
            own_id = {"block_id": f"t{message.ts[-4:]}"}
            body |= {"blocks": [block | own_id for block in rich_text_of_mrkdwn(message.text)]}
    if message.reactions:
        body["reactions"] = [{"name": n, "users": list(u), "count": len(u)} for n, u in message.reactions]
    if message.thread_ts == message.ts:
        body |= _thread_totals(state, message)
    elif message.is_reply:
        parent = state.messages[message.channel].get(message.thread_ts or "")
        body["parent_user_id"] = parent.user if parent else None
    return body


def _thread_totals(state: State, parent: Message) -> Json:
    replies = [m for m in state.lasting(parent.channel) if m.thread_ts == parent.ts and m.is_reply]
    users = list(dict.fromkeys(m.user or m.bot_id or "" for m in replies))
    return {
        "reply_count": len(replies),
        "reply_users": users,
        "reply_users_count": len(users),
        "latest_reply": replies[-1].ts if replies else parent.ts,
        "is_locked": False,
        "subscribed": False,
    }


def view_json(state: State, view: View, app: InstalledApp) -> Json:
    """Return a view as JSON, with defaults for what the app left out and the inputs' values as `state`.

    Slack, views: `app_installed_team_id` is the workspace where the app is installed, also for a user who
    comes from another workspace through a shared channel; for an org-wide installation it is the
    organization.
    """
    payload, viewer = view.payload, state.people.get(view.user)
    elsewhere = viewer.team_id if viewer is not None and not app.org else ""
    return {
        "id": view.id,
        "team_id": elsewhere or state.team.id,
        "type": view.type,
        "blocks": payload.get("blocks", []),
        "private_metadata": payload.get("private_metadata", ""),
        "callback_id": payload.get("callback_id", ""),
        "state": {"values": view.values},
        "hash": view.hash,
        "title": payload.get("title") or {"type": "plain_text", "text": "View Title", "emoji": True},
        "clear_on_close": payload.get("clear_on_close", False),
        "notify_on_close": payload.get("notify_on_close", False),
        "close": payload.get("close"),
        "submit": payload.get("submit"),
        "previous_view_id": view.previous_id,
        "root_view_id": view.root_id,
        "app_id": view.app_id,
        "external_id": view.external_id,
        "app_installed_team_id": app.org or state.team.id,
        "bot_id": app.bot_id,
    }


def group_json(state: State, group: UserGroup) -> Json:
    return {
        "id": group.id,
        "team_id": state.team.id,
        "is_usergroup": True,
        "is_subteam": True,
        "name": group.name,
        "handle": group.handle,
        "description": group.description,
        "is_external": False,
        "date_delete": 0,
        "user_count": len(group.users),
    }
