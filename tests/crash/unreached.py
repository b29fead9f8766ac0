"""Crash points that no scenario passes on the local backend, each with the reason."""

from __future__ import annotations

READING = "only pages, lists and other readers ask this"
CLOSING = "a killed bot closes nothing"
FAILED_START = "only when the file cannot be used, which ends the start"
REPLICA = "only when another replica writes the same row in the same moment"
MINUTES = "only after two minutes of lost answers; tests/actions has them"
AT_HAND = "the local backend's choices are at hand before anybody asks"

HOSTED = "only where the backend is elsewhere"
OPERATOR = "only when the operator is told of something"
UNOPENED = "people here make the gesture again instead; tests/slack/test_unopened.py has the button"
PERMITS = "only where rules limit who may declare, or could not be looked up"
CHANCE = "only by chance in so short a sample; campaigns of hundreds of runs reach it"
REFUSED = "only when Slack refuses a part of it; tests/actions/test_failing_slack.py has it"
RULES = "only where the operator has rules for announcements; tests/slack/test_announcing.py has them"
AT_ONCE = "only when it is made private in the same moment"
PUT_RIGHT = "only when a form that was refused is put right and sent again"
CROWDED = "only where more than two thousand incidents are open; tests/actions/test_watching.py has it"
GONE = "only when an incident has vanished where it is kept"
HIDDEN_WHILE_DUE = "only when an update is due while the incident is on its way into a private channel"
TOO_LATE = "only when private is ticked at a second press; tests/faults/test_again.py has it"

# By the beginning of their names.
UNREACHED: dict[str, str] = {
    "actions/forms.py:FormCache.fetch:await1": AT_HAND,
    "actions/forms.py:FormCache.keep_fresh:await2:after": "a minute after the start",
    "actions/gathering.py:Gathering.everyone:await6": MINUTES,
    "actions/gathering.py:Gathering.everyone:await7": MINUTES,
    "actions/gathering.py:Gathering.everyone:await8": MINUTES,
    "actions/gathering.py:Gathering._open_after_all": MINUTES,
    "actions/gathering.py:Gathering._without_a_card:": CHANCE,
    "actions/telling.py:Telling.show.show:await2:": CHANCE,
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
    "journal/ledger.py:SqlLedger.cards": MINUTES,
    "slack/connection.py:Connection.handle:await3": "only when a connection goes under an answer",
    "slack/listeners/declare.py:_open_from_message:await1": "no shortcut on a message comes without one",
    "slack/workspace.py:SlackWorkspace.update_card": MINUTES,
    "actions/aftermath.py:Aftermath._told.tell_others:await8:": AT_ONCE,
    "actions/aftermath.py:Aftermath._told.tell_others:await10:": AT_ONCE,
    "actions/withdraw.py:withdraw_news:await2:": CHANCE,
    "actions/withdraw.py:withdraw_documents:await3:": CHANCE,
    "actions/document.py:Documents._write:await10:": AT_ONCE,
    "actions/document.py:Documents._write:await11:": AT_ONCE,
    "slack/posts.py:Posts.find:": CHANCE,
    "actions/aftermath.py:Aftermath._troubles:": REFUSED,
    "actions/announcing.py:": RULES,
    "actions/promises.py:Kept.order:": READING,
    "actions/following.py:Following.bring_up_to_date:await1:": CHANCE,
    "actions/following.py:Following._as_seen:await1:": HOSTED,
    "actions/promises.py:Promises._save:await2:": PUT_RIGHT,
    "actions/promises.py:Promises.order:": READING,
    "actions/remind.py:Remind._ask:await2:": HIDDEN_WHILE_DUE,
    "actions/remind.py:Remind.planned:": READING,
    "actions/watching.py:Watching._ended:await3:": GONE,
    "actions/watching.py:Watching._look:await4:": CROWDED,
    "actions/watching.py:Watching.keep_watch:await2:after": "twenty seconds after the start",
    "slack/workspace.py:SlackWorkspace.push_modal:": "only where a form is opened on top of another",
    "actions/arriving.py:": HOSTED,
    "actions/sheltering.py:": HOSTED,
    "actions/forms.py:FormCache.awaited:": HOSTED,
    "actions/forms.py:FormCache.options:": HOSTED,
    "actions/forms.py:FormCache.recall:": HOSTED,
    "actions/forms.py:FormCache.refresh:await2:": HOSTED,
    "actions/forms.py:FormCache.refresh:entry1:": HOSTED,
    "actions/gathering.py:Gathering._before_its_channel:": HOSTED,
    "actions/gathering.py:Gathering._open_channel:await1:": HOSTED,
    "actions/gathering.py:Gathering._open_channel:await2:": HOSTED,
    "actions/gathering.py:Gathering.everyone:await1:": HOSTED,
    "actions/gathering.py:Gathering.everyone:await9:": HOSTED,
    "actions/alarming.py:Alarms._say:": OPERATOR,
    "actions/alarming.py:Alarms.keep_saying:await1:after": OPERATOR,
    "actions/alarming.py:Alarms.keep_saying:await2:": OPERATOR,
    "actions/alarming.py:Alarms.keep_saying:await3:": OPERATOR,
    "actions/alarming.py:Alarms.keep_saying:await4:": OPERATOR,
    "actions/alarming.py:Alarms._keep:": OPERATOR,
    "slack/listeners/declare.py:open_unopened:": UNOPENED,
    "slack/workspace.py:SlackWorkspace.answer:": UNOPENED,
    "slack/workspace.py:SlackWorkspace.reply:": UNOPENED,
    "slack/listeners/declare.py:open_form:await2:": AT_HAND,
    "slack/listeners/declare.py:open_form:await3:": AT_HAND,
    "slack/listeners/declare.py:open_form:await4:": AT_HAND,
    "slack/listeners/declare.py:open_form:await5:": AT_HAND,
    "actions/declare.py:DeclareIncident._note_unchecked:": PERMITS,
    "actions/declare.py:DeclareIncident._create:await6:": PERMITS,
    "slack/listeners/declare.py:_open_if_allowed:await1:": PERMITS,
    "slack/listeners/declare.py:open_declare:await1:": PERMITS,
    "slack/listeners/declare.py:submit_declare:await4:": PERMITS,
    "actions/telling.py:Telling.too_late:": TOO_LATE,
    "actions/declare.py:DeclareIncident._warn:await2:": TOO_LATE,
    "journal/tables.py:Tables.do:await2:": REPLICA,
    "actions/archive.py:Archiving.keep_watch:await2:after": "five seconds after the start",
    "actions/archive.py:Archiving._go_on:await7:": REFUSED,
    "actions/unfurl.py:Unfurl.__call__:await4:": REFUSED,
    "actions/unfurl.py:Unfurl._keep_true:await2:": AT_ONCE,
    "actions/unfurl.py:Unfurl._keep_true:await3:": AT_ONCE,
    "actions/unfurl.py:Unfurl._keep_true:await4:": "only when it changes in the same moment",
}


def why_unreached(name: str) -> str | None:
    """The reason why no scenario passes this point; None when it should be passed."""
    return next((reason for stem, reason in UNREACHED.items() if name.startswith(stem)), None)
