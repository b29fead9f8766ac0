"""Samples of every form and message, which `tocsin doctor` checks against Slack's limits."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

from slack_sdk.models.blocks import Block
from slack_sdk.models.views import View

from tocsin.incidents.model import (
    ChannelId,
    FollowUp,
    Form,
    Incident,
    MessageTs,
    Person,
    PersonId,
    Severity,
    SourceMessage,
    Status,
    TimelineEntry,
)
from tocsin.incidents.nudges import Kind, Nudge
from tocsin.incidents.paging import REASON_LIMIT, Page
from tocsin.incidents.permissions import Verb
from tocsin.incidents.requests import NAME_LIMIT, SUMMARY_LIMIT, DeclareRequest
from tocsin.incidents.tasks import Checklist, Runbook
from tocsin.incidents.tracker import BUTTON_URL_LIMIT
from tocsin.incidents.updates import ChangeNotification, Summary
from tocsin.slack.views.accept import accept_modal
from tocsin.slack.views.card import card
from tocsin.slack.views.close import ENDS, close_modal, merge_modal
from tocsin.slack.views.declare import (
    already_modal,
    declare_modal,
    declared_modal,
    error_modal,
    loading_modal,
    refused_message,
    saved_modal,
    unopened_message,
)
from tocsin.slack.views.fields import fields_modal
from tocsin.slack.views.followups import (
    checklist_message,
    follow_up_message,
    follow_up_modal,
    issue_modal,
    note_modal,
)
from tocsin.slack.views.home import HomePage, help_message, home_view
from tocsin.slack.views.lists import Listing, ListQuery, choose_modal, list_modal, show_modal
from tocsin.slack.views.metadata import DeclareMetadata, VerbMetadata, sentence_modal
from tocsin.slack.views.notifications import news_message
from tocsin.slack.views.nudges import nudge_message, snooze_modal, snoozed_message
from tocsin.slack.views.page import page_message, page_modal, page_target_modal
from tocsin.slack.views.people import people_modal
from tocsin.slack.views.times import times_modal
from tocsin.slack.views.update import assign_modal, describe_modal, update_modal

AT = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
SOMEBODY = Person(slack_user_id=PersonId("U0000000001"), name="Somebody")
NEW_ISSUE = "https://tracker.example.com/new?title=".ljust(BUTTON_URL_LIMIT, "x")
LONG = "<!channel> & "
"""Text to fill fields to their limits: each character needs escaping or may be a mention."""


def modals(form: Form) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name and JSON of every modal, with the choices of this form."""
    made: dict[str, View] = {
        "the declare form": declare_modal(form, DeclareMetadata(), DeclareRequest()),
        "the form for what is over": declare_modal(
            form, DeclareMetadata(), DeclareRequest(mode="retrospective")
        ),
        "the declare form, filled": declare_modal(
            form, _context(), DeclareRequest(name=_filled(NAME_LIMIT), summary=_filled(SUMMARY_LIMIT))
        ),
        "the form that is loading": loading_modal(DeclareMetadata()),
        "the answer": declared_modal(_incident(form), "inc-1", ["The topic could not be set"]),
        "the answer that is still to come": saved_modal(),
        "the answer that there is one": already_modal(_incident(form), AT, _context()),
        "an apology": error_modal("Not now", _filled(500)),
        **_managing(form),
    }
    yield from ((name, view.to_dict()) for name, view in made.items())


def _managing(form: Form) -> dict[str, View]:
    """Return the forms about an existing incident, and the Home tab, by name."""
    incident, said = _incident(form), _filled(300)
    to_do = FollowUp(id="1", incident_id="1", text=_filled(200), assignee=SOMEBODY, created_at=AT)
    happened = [TimelineEntry(at=AT, by=SOMEBODY, verb="noted", text=said)] * 12
    other = incident.model_copy(update={"id": "2"})
    listing = Listing(title=said, incidents=(incident,) * 8, query=ListQuery(after="1"), more=True, said=said)
    return {
        "the update form": update_modal(form, incident, Verb.UPDATE, problem=said),
        "the roles": assign_modal(form, incident, Verb.ROLE),
        "the form to invite": people_modal(form, incident, Verb.INVITE, [PersonId("U0000000001")]),
        "the form to rename": describe_modal(form, incident, Verb.RENAME),
        "the call link": describe_modal(form, incident, Verb.CALL),
        "the fields": fields_modal(form, incident, problem=said),
        "the summary": describe_modal(form, incident, Verb.SUMMARY),
        **{f"the form to {verb}": close_modal(form, incident, verb, unfinished=[to_do] * 7) for verb in ENDS},
        "the form to accept": accept_modal(form, incident, problem=said),
        "the form to snooze": snooze_modal(incident, problem=said),
        "the form to merge": merge_modal(form, incident, [incident, other]),
        "the form that asks whom to page": page_target_modal(incident, [said[:75], "b"], why=said),
        "the form to page": page_modal(
            incident, said[:75], "PagerDuty", why=said, question=said, problem=said
        ),
        "the times": times_modal(form, incident),
        "the form to note": note_modal(form, incident),
        "what is to be done": follow_up_modal(form, incident, Verb.FOLLOW_UP, _checklist(), has_tracker=True),
        "the form to link an issue": issue_modal(form, incident, [to_do], problem=said),
        "the choice of incidents": choose_modal(
            VerbMetadata(verb=Verb.STATUS, typed=said), [incident, other], typed=said
        ),
        "a list": list_modal(listing, AT),
        "one incident": show_modal(incident, happened, _checklist()),
        "what was done": sentence_modal(incident, "Done."),
        "Home": home_view(HomePage(mine=(incident,), open=(incident, other) * 15, closed=(other,), at=AT)),
    }


def messages(form: Form, help_lines: tuple[tuple[str, str], ...]) -> Iterator[tuple[str, list[Any]]]:
    """Yield the name and blocks of every message."""
    incident = _incident(form)
    summary = Summary(lasted=timedelta(hours=3), people=(PersonId("U0000000001"),), entries=9)
    news = ChangeNotification(
        incident=incident,
        by=SOMEBODY,
        at=AT,
        differences=("set the status to Fixing",),
        message=_filled(1000),
        next_update_at=AT,
        summary=summary,
    )
    to_do = FollowUp(id="1", incident_id="1", text=_filled(200), assignee=SOMEBODY, created_at=AT)
    made: dict[str, list[Block]] = {
        "the card": card(incident),
        "news": news_message(news)[1],
        "what is to be done": follow_up_message(to_do, NEW_ISSUE)[1],
        "the checklist": checklist_message(incident, _checklist())[1],
        **{
            f"a nudge ({kind})": nudge_message(incident, Nudge(kind=kind, asked=SOMEBODY, since=AT))[1]
            for kind in get_args(Kind)
        },
        "a nudge that was snoozed": snoozed_message(incident, SOMEBODY, AT)[1],
        "a page": page_message(_page())[1],
        "a refusal": refused_message(incident.name, "It was refused.", "key")[1],
        "a form that did not open": unopened_message("it took longer", _filled(200), _context())[1],
        "help": help_message(("Anywhere", help_lines))[1],
    }
    yield from ((name, [block.to_dict() for block in blocks]) for name, blocks in made.items())


def _checklist() -> Checklist:
    """Return a long checklist, each of whose items has every button."""
    item = FollowUp(id="1", incident_id="1", kind="follow_up", text=_filled(2000), created_at=AT)
    runbook = Runbook(title=_filled(200), url="https://wiki.example.com/runbook")
    new_issues = {"1": NEW_ISSUE}
    return Checklist(items=(item,) * 25, runbooks=(runbook,) * 3, roles={"1": "Lead"}, new_issues=new_issues)


def _page() -> Page:
    said = _filled(REASON_LIMIT)
    return Page(key="1", incident_id="1", target=said[:75], service="PagerDuty", by=SOMEBODY, at=AT, why=said)


def _context() -> DeclareMetadata:
    place, ts = ChannelId("C0000000001"), MessageTs("1767323040.000100")
    return DeclareMetadata(
        origin=place, source_channel=place, source_ts=ts, thread=ts, expanded=True, name=_filled(NAME_LIMIT)
    )


def _filled(length: int) -> str:
    return (LONG * (length // len(LONG) + 1))[:length].strip()


def _incident(form: Form) -> Incident:
    return Incident(
        id="1",
        reference="INC-1",
        name=_filled(NAME_LIMIT),
        summary=_filled(SUMMARY_LIMIT),
        permalink="https://tocsin.example.com/incidents/INC-1",
        severity=form.severities[0] if form.severities else Severity(id="1", name="Major", rank=1),
        incident_status=form.statuses[0] if form.statuses else Status(id="1", name="Open", category="live"),
        slack_channel_id="C0000000001",
        slack_channel_name="inc-1",
        source=SourceMessage(channel=ChannelId("C0000000001"), timestamp=MessageTs("1767323040.000100")),
        creator=SOMEBODY,
        created_at=AT,
        updated_at=AT,
    )
