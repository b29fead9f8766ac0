"""What a person typed, with the names in it resolved as Slack's own composer would."""

from __future__ import annotations

import re

from tocsin.playground.state import State

MENTION = re.compile(r"(?<![\w<@#])([@#])([\w.-]*\w)")


def names_in(state: State) -> dict[str, str]:
    """Every @person, @group and #channel that the composer offers, with its id."""
    names = {f"@{p.name}": p.id for p in state.people.values() if not p.deleted}
    names |= {f"@{g.handle}": g.id for g in state.groups.values()}
    names |= {f"#{c.name}": c.id for c in state.channels.values() if not c.is_direct}
    return names


def mentions_written(state: State, text: str) -> str:
    """Slack, slash commands: with `should_escape`, @ana becomes <@U1|ana> and #general <#C1|general>."""
    return _resolved(state, text, labelled=True)


def names_linked(state: State, text: str) -> str:
    """Slack, chat.postMessage: with `link_names`, @ana becomes <@U1> and #general <#C1>."""
    return _resolved(state, text, labelled=False)


def _resolved(state: State, text: str, *, labelled: bool) -> str:
    names = names_in(state)

    def written(match: re.Match[str]) -> str:
        found = names.get(match[0])
        if found is None:
            return match[0]
        label = f"|{match[2]}" if labelled else ""
        if found.startswith("S"):
            return f"<!subteam^{found}{label}>"
        return f"<{match[1]}{found}{label}>"

    return MENTION.sub(written, text)
