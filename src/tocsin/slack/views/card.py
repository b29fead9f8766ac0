"""The incident's card: one function, the same card everywhere."""

from __future__ import annotations

from slack_sdk.models.blocks import (
    ActionsBlock,
    Block,
    ButtonElement,
    ContextBlock,
    MarkdownTextObject,
    RichTextBlock,
    RichTextElementParts,
    RichTextQuoteElement,
    RichTextSectionElement,
    SectionBlock,
)

from tocsin.incidents.model import Incident, Person
from tocsin.slack.views.kit import escape, link, moment, plain, shortened

_Text = RichTextElementParts.Text
_Link = RichTextElementParts.Link
QUOTE_LIMIT = 500
"""Characters of the summary that the card shows; the incident's page has all of it."""

_BOLD = RichTextElementParts.TextStyle(bold=True)


def card(incident: Incident) -> list[Block]:
    """Reference, permalink and channel, severity, status, lead, and who declared it.

    What people wrote goes into plain text elements, where nothing can become a mention or a link.
    """
    blocks: list[Block] = [_title(incident), _facts(incident)]
    if incident.permalink:
        blocks.append(
            ActionsBlock(
                elements=[
                    ButtonElement(
                        action_id="open_incident", text=plain("Open incident"), url=incident.permalink
                    )
                ]
            )
        )
    blocks.append(ContextBlock(elements=[MarkdownTextObject(text=_declared_by(incident), verbatim=True)]))
    return blocks


def card_text(incident: Incident) -> str:
    """What a notification and a screen reader say in place of the card."""
    parts = [f"{incident.reference}: {escape(incident.name)}", *marks(incident)]
    if incident.severity:
        parts.append(escape(incident.severity.name))
    parts.append(escape(incident.incident_status.name))
    if incident.slack_channel_id:
        parts.append(f"<#{incident.slack_channel_id}>")
    if incident.permalink:
        parts.append(f"<{incident.permalink}>")
    return " · ".join(parts)


def marks(incident: Incident) -> list[str]:
    """What must be seen at a glance: that it is private, or only a test."""
    return [":lock: Private"] * incident.is_private + [":test_tube: Test"] * (incident.mode == "test")


def person(who: Person | None) -> str:
    """A person in mrkdwn: mentioned by id, else by the name we know."""
    if who is None:
        return "Nobody yet"
    return f"<@{who.slack_user_id}>" if who.slack_user_id else escape(who.name or "Nobody yet")


def name_block(incident: Incident) -> RichTextBlock:
    """The incident's name alone."""
    return RichTextBlock(elements=[RichTextSectionElement(elements=[_Text(text=incident.name, style=_BOLD)])])


def facts_line(incident: Incident) -> str:
    """The card in one line of mrkdwn, for where the reader has the rest before their eyes."""
    said = [*marks(incident), *([escape(incident.severity.name)] if incident.severity else [])]
    lead = f"Lead: {person(incident.lead)}" if incident.lead else "No lead yet"
    return " · ".join([*said, escape(incident.incident_status.name), lead])


def _title(incident: Incident) -> RichTextBlock:
    reference = (
        _Link(url=incident.permalink, text=incident.reference, style=_BOLD)
        if incident.permalink
        else _Text(text=incident.reference, style=_BOLD)
    )
    parts: list[RichTextSectionElement | RichTextQuoteElement] = [
        RichTextSectionElement(elements=[reference, _Text(text=f"  {incident.name}", style=_BOLD)])
    ]
    if said := _quoted(incident):
        parts.append(RichTextQuoteElement(elements=[_Text(text=shortened(said, QUOTE_LIMIT))]))
    return RichTextBlock(elements=parts)


def _quoted(incident: Incident) -> str:
    """The summary as it stands in a quote: without marks of its own, nor what the card says elsewhere."""
    lines = incident.summary.splitlines()
    if incident.source and incident.source.permalink and lines:
        lines[-1] = lines[-1].removesuffix(incident.source.permalink).rstrip()
    if lines and lines[0] == f"> {incident.name}":
        lines = lines[1:]
        # Where the name is the whole message, only its author is left, and a click away.
        lines = [] if len(lines) == 1 and lines[0].startswith("—") else lines
    return "\n".join(line.removeprefix("> ") for line in lines).strip(" \n")


def _facts(incident: Incident) -> SectionBlock:
    facts = {
        "Severity": escape(incident.severity.name) if incident.severity else "Not set",
        "Status": escape(incident.incident_status.name),
        "Lead": person(incident.lead),
        "Channel": _channel(incident),
    }
    return SectionBlock(
        fields=[MarkdownTextObject(text=f"*{name}*\n{value}", verbatim=True) for name, value in facts.items()]
    )


def _channel(incident: Incident) -> str:
    return f"<#{incident.slack_channel_id}>" if incident.slack_channel_id else "None yet"


def _declared_by(incident: Incident) -> str:
    said = [f"Declared by {person(incident.creator)} {moment(incident.created_at)}"]
    if incident.source and incident.source.permalink:
        said.append(link(incident.source.permalink, "Source message"))
    return " · ".join([*marks(incident), *said])
