"""users.*, usergroups.* and bots.info: the members of the workspace."""

from __future__ import annotations

from typing import Any

from slack_emulator.models import Json, Person, Refused
from slack_emulator.serializers import bot_json, group_json, user_json
from slack_emulator.web_api.arguments import Arguments, Call, Method, page_of
from slack_emulator.web_api.conversations import KINDS, Listing, kinds_listed


class OnePerson(Arguments):
    user: str


class Profile(Arguments):
    user: str | None = None
    include_labels: bool = False


class PresenceOf(Arguments):
    user: str | None = None


class SetPresence(Arguments):
    presence: str


class ByEmail(Arguments):
    email: str


class People(Arguments):
    cursor: str | None = None
    limit: int = 0


class ConversationsOf(Listing):
    user: str | None = None


class Groups(Arguments):
    include_users: bool = False
    include_count: bool = False
    include_disabled: bool = False


class GroupMembers(Arguments):
    usergroup: str


class OneBot(Arguments):
    bot: str


def one_person(call: Call, given: OnePerson) -> Json:
    return {"user": _person(call, given.user)}


def _person(call: Call, user: str) -> Json:
    """Return a user as JSON; the email address only with users:read.email (Slack, users.info)."""
    state = call.workspace.state
    body = user_json(state, state.person(user))
    if "users:read.email" not in call.app.scopes:
        body["profile"].pop("email", None)
    return body


def profile(call: Call, given: Profile) -> Json:
    """Return a user's profile (Slack, users.profile.get); the emulator has no custom profile fields."""
    return {"profile": _person(call, given.user or call.bot)["profile"] | {"fields": {}}}


def presence(call: Call, given: PresenceOf) -> Json:
    """Return a user's presence, for the app's own bot user with details (Slack, users.getPresence)."""
    person = call.workspace.state.person(given.user or call.bot)
    active = _is_active(call, person)
    found = {"presence": "active" if active else "away"}
    if person.id != call.bot:
        return found
    connections = call.workspace.sockets.count(call.app.app_id)
    return found | {
        "online": active,
        "auto_away": False,
        "manual_away": person.presence == "away",
        "connection_count": connections,
        "last_activity": int(call.workspace.state.now()),
    }


def _is_active(call: Call, person: Person) -> bool:
    """True if Slack shows the user as active (Slack, user presence).

    A bot is active if its manifest has it always online, or if the app set its presence to `auto`.
    """
    if person.deleted or person.presence == "away":
        return False
    app = call.workspace.state.apps.get(person.app_id or "")
    return app is None or app.manifest.always_online or person.presence == "auto"


def set_presence(call: Call, given: SetPresence) -> Json:
    if given.presence not in ("auto", "away"):
        raise Refused("invalid_presence")
    bot = call.workspace.state.person(call.bot)
    bot.presence = "away" if given.presence == "away" else "auto"
    call.workspace.state.save(bot)
    return {}


def by_email(call: Call, given: ByEmail) -> Json:
    for person in call.workspace.people():
        if person.email and person.email.lower() == given.email.lower() and not person.deleted:
            return {"user": _person(call, person.id)}
    raise Refused("users_not_found")


def people(call: Call, given: People) -> Json:
    everyone = [_person(call, person.id) for person in call.workspace.people() if not person.is_foreign]
    page, cursor = page_of(everyone, given.cursor, given.limit or 1000)
    return {
        "members": page,
        "cache_ts": int(call.workspace.state.now()),
        "response_metadata": {"next_cursor": cursor},
    }


def conversations_of(call: Call, given: ConversationsOf) -> Json:
    """List the conversations that the user is in; private ones only if the app is in them, too."""
    user = given.user or call.bot
    call.workspace.state.person(user)
    if any(name not in KINDS for name in given.types):
        raise Refused("invalid_types")
    wanted = {KINDS[name] for name in given.types}
    channels = [
        call.workspace.conversations.json(channel, call.bot)
        for channel in call.workspace.state.channels.values()
        if channel.kind in wanted
        and user in channel.members
        and (channel.kind == "public" or call.bot in channel.members)
        and not (given.exclude_archived and channel.archived)
    ]
    page, cursor = page_of(channels, given.cursor, given.limit)
    return {"channels": page, "response_metadata": {"next_cursor": cursor}}


def groups(call: Call, given: Groups) -> Json:
    found = []
    for group in call.workspace.groups():
        body = group_json(call.workspace.state, group)
        found.append(body | ({"users": list(group.users)} if given.include_users else {}))
    return {"usergroups": found}


def group_members(call: Call, given: GroupMembers) -> Json:
    group = call.workspace.state.groups.get(given.usergroup)
    if group is None:
        raise Refused("no_such_subteam")
    return {"users": list(group.users)}


def one_bot(call: Call, given: OneBot) -> Json:
    for app in call.workspace.apps():
        if app.bot_id == given.bot:
            return {"bot": bot_json(call.workspace.state, app)}
    raise Refused("bot_not_found")


METHODS: dict[str, Method[Any]] = {
    "users.info": Method(OnePerson, one_person),
    "users.profile.get": Method(Profile, profile),
    "users.getPresence": Method(PresenceOf, presence),
    "users.setPresence": Method(SetPresence, set_presence),
    "users.lookupByEmail": Method(ByEmail, by_email),
    "users.list": Method(People, people),
    "users.conversations": Method(ConversationsOf, conversations_of, kinds_listed),
    "usergroups.list": Method(Groups, groups),
    "usergroups.users.list": Method(GroupMembers, group_members),
    "bots.info": Method(OneBot, one_bot),
}
