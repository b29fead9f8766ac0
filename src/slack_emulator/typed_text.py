"""Mentions in typed text, resolved as Slack's composer does."""

from __future__ import annotations

import re

from slack_emulator.state import State
from slack_emulator.text import escape, parse_mrkdwn
from slack_emulator.texts.mrkdwn import BARE_URL

MENTION = re.compile(r"(?<![\w<@#])([@#])([\w.-]*\w)")
_PICKED = r"(?P<picked><(?:[@#]|!subteam|https?://)[^<>\n]+>)"
_LIVE = re.compile(f"{_PICKED}|(?P<url>(?<![a-z0-9]){BARE_URL.pattern})|{MENTION.pattern}", re.IGNORECASE)


def names_in(state: State) -> dict[str, str]:
    """Return the id of every @user, @group and #channel that the composer suggests."""
    names = {f"@{p.name}": p.id for p in state.people.values() if not p.deleted}
    names |= {f"@{g.handle}": g.id for g in state.groups.values()}
    names |= {f"#{c.name}": c.id for c in state.channels.values() if not c.is_direct}
    return names


def command_text(state: State, person: str, text: str, *, should_escape: bool) -> str:
    """Return the text of a slash command as Slack sends it: `&`, `<` and `>` are always escaped.

    Slack, slash commands: with `should_escape`, @ana becomes <@U1|ana>, #general <#C1|general>, @oncall
    <!subteam^S1|@oncall>, and a URL stands in angle brackets. A private channel is sent without its name if
    the user is a member, else as typed. Text in Slack's own form, such as <@U1>, was picked from the
    composer's suggestions and is sent as it is.
    """
    if not should_escape:
        return escape(text)
    names, written, last = names_in(state), list[str](), 0
    for found in _LIVE.finditer(text):
        written.append(escape(text[last : found.start()]))
        if found["picked"]:
            written.append(found[0] if parse_mrkdwn(found[0])[0].kind != "text" else escape(found[0]))
        else:
            token = f"<{escape(found[0])}>" if found["url"] else _token(state, person, found[0], names)
            written.append(token or escape(found[0]))
        last = found.end()
    return "".join([*written, escape(text[last:])])


def _token(state: State, person: str, typed: str, names: dict[str, str]) -> str:
    found = names.get(typed, "")
    if typed[0] == "@":
        group = f"<!subteam^{found}|{typed}>" if found.startswith("S") else f"<@{found}|{typed[1:]}>"
        return group if found else ""
    room = state.channels.get(found)
    if room is None or (room.kind != "public" and person not in room.members):
        return ""
    return f"<#{found}|{room.name if room.kind == 'public' else ''}>"


def names_linked(state: State, text: str) -> str:
    """Replace @ana by <@U1> and #general by <#C1> (Slack, chat.postMessage: `link_names`)."""
    names = names_in(state)

    def written(match: re.Match[str]) -> str:
        found = names.get(match[0])
        if found is None:
            return match[0]
        return f"<!subteam^{found}>" if found.startswith("S") else f"<{match[1]}{found}>"

    return MENTION.sub(written, text)
