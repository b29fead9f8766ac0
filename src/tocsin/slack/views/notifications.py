"""Messages to an incident's channel: updates, follow-ups, archiving, documents."""

from __future__ import annotations

from datetime import datetime

from slack_sdk.models.blocks import (
    ActionsBlock,
    Block,
    ButtonElement,
    RichTextBlock,
    RichTextElementParts,
    RichTextQuoteElement,
)

from tocsin.incidents.details import duration
from tocsin.incidents.model import FollowUp, Incident, Person, PersonId
from tocsin.incidents.transitions import MERGED_INTO
from tocsin.incidents.updates import ChangeNotification, Summary
from tocsin.incidents.validation import is_link
from tocsin.slack.views.blocks import context, cut, date_token, escape, link, paragraph, plain, shorten
from tocsin.slack.views.card import join_button, person
from tocsin.slack.views.followups import issue_link

# The notice that a channel will be archived, and the text in its place if a person keeps the channel.

Message = tuple[str, list[Block]]
"""Text of the notification, and blocks of the message."""


def leaving_message(incident: Incident, due: datetime) -> Message:
    """Build the notice, with the time of archiving and a button that keeps the channel."""
    reference = link(incident.permalink, incident.reference)
    said = (
        f":file_folder: *{reference}* is closed. This channel is archived {date_token(due)}, unless somebody "
        "keeps it. What was written here can still be read then."
    )
    keep = ButtonElement(action_id="keep_channel", text=plain("Keep the channel"), value=incident.id)
    return said, [paragraph(said), ActionsBlock(block_id="leaving", elements=[keep])]


def kept_message(by: Person) -> Message:
    said = f":file_folder: {person(by)} keeps this channel."
    return said, [paragraph(said)]


# Documents and exports of an incident.


def written_message(incident: Incident, address: str, by: Person) -> tuple[str, list[Block]]:
    """Build the message with the link to the document, which people are to complete."""
    reference = link(incident.permalink, incident.reference)
    opened = link(address, "open it")
    said = f":page_facing_up: {person(by)} began the post-incident document of *{reference}*: {opened}."
    said += f" {escape('Its timeline is filled in; why it happened is for you to write.')}"
    return said, [paragraph(said)]


def document_buttons(incident: Incident) -> ActionsBlock:
    """Build *Export*, and *Write the post-incident document* unless the backend has a document already."""
    write = ButtonElement(
        action_id="write_document", text=plain("Write the post-incident document"), value=incident.id
    )
    return ActionsBlock(
        block_id="papers",
        elements=[
            *([] if incident.postmortem_document_url else [write]),
            ButtonElement(action_id="export_incident", text=plain("Export"), value=incident.id),
        ],
    )


# Messages on changes, updates and follow-ups.

TEXT_LIMIT = 40_000
"""Characters of a message's text (Slack, chat.postMessage: `msg_too_long`)."""

NEWS_LIMIT = 300
"""Characters of one change in words: a new name and the old one fit."""

MOST_NAMED = 20
"""People and follow-ups that are listed; the incident's page has all of them."""


def news_message(news: ChangeNotification) -> Message:
    """Build the message on a change: by whom, what changed, their words, and when the next update is due."""
    said = _line(news)
    blocks: list[Block] = [paragraph(said)]
    if news.message:
        text = RichTextElementParts.Text(text=news.message)
        blocks.append(RichTextBlock(elements=[RichTextQuoteElement(elements=[text])]))
    if news.call_link and is_link(news.call_link):
        blocks.append(ActionsBlock(elements=[join_button(news.call_link)]))
    if news.summary is not None:
        blocks += [paragraph(_summary(news.incident, news.summary)), document_buttons(news.incident)]
    if news.next_update_at is not None:
        due = f":alarm_clock: Next update due {date_token(news.next_update_at)}"
        blocks.append(context(due))
    heard = f"{said} {escape(shorten(news.message, NEWS_LIMIT))}" if news.message else said
    return cut(heard, TEXT_LIMIT), blocks


def _line(news: ChangeNotification) -> str:
    reference = link(news.incident.permalink, news.incident.reference)
    sign = ":mega:" if news.message else ":pencil2:"
    if news.summary is not None:
        sign = ":white_check_mark:"
    changes = [escape(shorten(one, NEWS_LIMIT)) for one in news.differences]
    changes += [
        f"set {escape(name)} to {date_token(at)}" if at else f"cleared {escape(name)}"
        for name, at in news.times
    ]
    if news.merged_into:
        changes.append(f"{MERGED_INTO} {escape(news.merged_into)}")
    what = "; ".join(changes) or "wrote an update"
    return f"{sign} *{reference}* · {person(news.by)} {what}"


def _summary(incident: Incident, summary: Summary) -> str:
    lasting = duration(summary.lasted)
    lines = [f"*{lasting[0].upper()}{lasting[1:]}* from declared to {escape(incident.incident_status.name)}"]
    if summary.people:
        lines[0] += f", with {_named(summary.people)}"
    if summary.went:
        went = [f"{escape(shorten(what, 80))} {after}" for what, after in summary.went[:MOST_NAMED]]
        lines.append(" · ".join(went))
    if summary.workload:
        lines.append(f"Workload: {summary.workload}.")
    if (document := incident.postmortem_document_url) and is_link(document):
        lines.append(f"Its post-incident document: {link(document, document)}")
    page = link(incident.permalink, "its page") if incident.permalink else "its page"
    lines.append(f"{summary.entries} entries in the timeline on {page}.")
    if summary.done_follow_ups:
        lines.append(f"Actions and follow-ups done: {summary.done_follow_ups}.")
    if summary.open_follow_ups:
        lines.append("*Open actions and follow-ups:*")
        lines += [f"• {_to_do(one)}" for one in summary.open_follow_ups[:MOST_NAMED]]
        if len(summary.open_follow_ups) > MOST_NAMED:
            lines.append(f"and {len(summary.open_follow_ups) - MOST_NAMED} more.")
    return "\n".join(lines)


def _named(people: tuple[PersonId, ...]) -> str:
    named = ", ".join(person(Person(slack_user_id=one)) for one in people[:MOST_NAMED])
    more = len(people) - MOST_NAMED
    return f"{named} and {more} more" if more > 0 else named


def _to_do(follow_up: FollowUp) -> str:
    who = f" ({person(follow_up.assignee)})" if follow_up.assignee else ""
    issue = f" · {issue_link(follow_up)}" if follow_up.external_issue_reference else ""
    return f"{escape(shorten(follow_up.text, NEWS_LIMIT))}{who}{issue}"
