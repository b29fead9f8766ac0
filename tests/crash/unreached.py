"""Crash points that no declaration passes on the local backend, each with the reason."""

from __future__ import annotations

READING = "only pages, lists and other readers ask this"
CLOSING = "a killed bot closes nothing"
FAILED_START = "only when the file cannot be used, which ends the start"
REPLICA = "only when another replica writes the same row in the same moment"
MINUTES = "only after two minutes of lost answers; tests/actions has them"
AT_HAND = "the local backend's choices are at hand before anybody asks"

VERBS = (
    "no scenario here changes an incident yet; tests/actions and tests/slack have what follows a declaration"
)
HOSTED = "only where the backend is elsewhere"
OPERATOR = "only when the operator is told of something"
UNOPENED = "people here make the gesture again instead; tests/slack/test_unopened.py has the button"
PERMITS = "only where rules limit who may declare, or could not be looked up"
CHANCE = "only by chance in so short a sample; campaigns of hundreds of runs reach it"
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
    "slack/posts.py:Posts.edit": MINUTES,
    "slack/workspace.py:SlackWorkspace.update_card": MINUTES,
    "actions/aftermath.py:": VERBS,
    "actions/change.py:": VERBS,
    "actions/find.py:": VERBS,
    "actions/follow_up.py:": VERBS,
    "actions/following.py:Following._edit:": VERBS,
    "actions/following.py:Following.bring_up_to_date:": VERBS,
    "actions/following.py:Following._furnish:": VERBS,
    "actions/following.py:Following._rename:": VERBS,
    "actions/following.py:_allowed:": VERBS,
    "actions/hide.py:": VERBS,
    "actions/note.py:": VERBS,
    "actions/promises.py:": VERBS,
    "actions/withdraw.py:": VERBS,
    "actions/best_effort.py:without_end.": VERBS,
    "actions/best_effort.py:without_end:": VERBS,
    "actions/announcing.py:": VERBS,
    "actions/remind.py:Remind._ask:": VERBS,
    "actions/remind.py:Remind.look:await2:": VERBS,
    "actions/remind.py:Remind.look:entry1:": VERBS,
    "actions/remind.py:Remind.plan:": VERBS,
    "actions/remind.py:Remind.planned:": VERBS,
    "actions/remind.py:Remind.snooze:": VERBS,
    "actions/remind.py:Remind.stop:": VERBS,
    "actions/remind.py:Remind.take_over:": VERBS,
    "backends/local/backend.py:LocalBackend.add_follow_up:": VERBS,
    "backends/local/backend.py:LocalBackend.change:": VERBS,
    "backends/local/backend.py:LocalBackend.complete_follow_up:": VERBS,
    "backends/local/backend.py:LocalBackend.follow_ups:": VERBS,
    "backends/local/backend.py:LocalBackend.unnote.work:": VERBS,
    "backends/local/backend.py:LocalBackend.unnote:": VERBS,
    "backends/local/changing.py:": VERBS,
    "backends/local/following_up.py:": VERBS,
    "journal/ledger.py:SqlLedger.forget_card:": VERBS,
    "journal/ledger.py:SqlLedger.forget_face:": VERBS,
    "journal/ledger.py:SqlLedger.incident_of_channel:": VERBS,
    "journal/ledger.py:SqlLedger.remember_watched:await2:": VERBS,
    "actions/watching.py:Watching._ended:": VERBS,
    "actions/watching.py:Watching.keep_watch:await2:after": VERBS,
    "actions/watching.py:Watching.look:await4:": VERBS,
    "slack/workspace.py:SlackWorkspace.publish_home:": VERBS,
    "slack/workspace.py:SlackWorkspace.push_modal:": VERBS,
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
    "actions/alarming.py:Alarms.keep_saying:entry1:": OPERATOR,
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
    "journal/ledger.py:SqlLedger.do:await2:": REPLICA,
}


def why_unreached(name: str) -> str | None:
    """The reason why no scenario passes this point; None when it should be passed."""
    return next((reason for stem, reason in UNREACHED.items() if name.startswith(stem)), None)
