"""Crash points that no declaration passes on the local backend, each with the reason."""

from __future__ import annotations

READING = "only pages, lists and other readers ask this"
CLOSING = "a killed bot closes nothing"
FAILED_START = "only when the file cannot be used, which ends the start"
REPLICA = "only when another replica writes the same row in the same moment"
MINUTES = "only after two minutes of lost answers; tests/actions has them"
AT_HAND = "the local backend's choices are at hand before anybody asks"

# By the beginning of their names.
UNREACHED: dict[str, str] = {
    "actions/forms.py:FormCache.fetch:await1": AT_HAND,
    "actions/forms.py:FormCache.keep_fresh:await2:after": "a minute after the start",
    "actions/gathering.py:Gathering.everyone:await6": MINUTES,
    "actions/gathering.py:Gathering.everyone:await7": MINUTES,
    "actions/gathering.py:Gathering.everyone:await8": MINUTES,
    "actions/gathering.py:Gathering._open_after_all": MINUTES,
    "actions/gathering.py:Gathering._bring_up_to_date": MINUTES,
    "actions/telling.py:Telling.mended": MINUTES,
    "backends/local/backend.py:LocalBackend.close": CLOSING,
    "backends/local/backend.py:LocalBackend.find:await1": READING,
    "backends/local/backend.py:LocalBackend.incidents": READING,
    "backends/local/backend.py:LocalBackend.open:await3": FAILED_START,
    "backends/local/backend.py:LocalBackend.read": READING,
    "backends/local/backend.py:LocalBackend.remember_people": "names are learnt elsewhere",
    "backends/local/backend.py:LocalBackend.timeline": READING,
    "backends/local/file.py:IncidentFile.close": CLOSING,
    "backends/local/file.py:IncidentFile.read": READING,
    "journal/durable.py:DurableJournal.close": CLOSING,
    "journal/durable.py:DurableJournal.settled": READING,
    "journal/ledger.py:SqlLedger._do:await2": REPLICA,
    "journal/ledger.py:SqlLedger.cards": MINUTES,
    "slack/listeners/declare.py:_open:await2": AT_HAND,
    "slack/listeners/declare.py:_open:await3": AT_HAND,
    "slack/listeners/declare.py:_open:await4": AT_HAND,
    "slack/listeners/declare.py:suggest_options": "only in a menu of more than a hundred choices",
    "slack/connection.py:Connection.handle:await3": "only when a connection goes under an answer",
    "slack/listeners/declare.py:_open_from_message:await1": "no shortcut on a message comes without one",
    "slack/posts.py:Posts.edit": MINUTES,
    "slack/workspace.py:SlackWorkspace.person": "names are learnt elsewhere",
    "slack/workspace.py:SlackWorkspace.update_card": MINUTES,
}


def why_unreached(name: str) -> str | None:
    """The reason why no scenario passes this point; None when it should be passed."""
    return next((reason for stem, reason in UNREACHED.items() if name.startswith(stem)), None)
