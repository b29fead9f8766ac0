"""An incident's card, and its channel's topic, purpose and bookmark."""

from __future__ import annotations

import re
from collections.abc import Mapping

from slack_sdk.models.blocks import (
    ActionsBlock,
    Block,
    ButtonElement,
    InteractiveElement,
    OverflowMenuElement,
    RichTextBlock,
    RichTextElementParts,
    RichTextQuoteElement,
    RichTextSectionElement,
    SectionBlock,
)

from tocsin.incidents.alerts import alerts_in_words
from tocsin.incidents.model import Incident, Person, declarer, display_name
from tocsin.incidents.permissions import Verb
from tocsin.incidents.requests import NAME_LIMIT
from tocsin.incidents.validation import is_link, join_names
from tocsin.slack.views.blocks import (
    FIELD_LIMIT,
    IdentityKey,
    context,
    date_token,
    escape,
    link,
    mrkdwn,
    option,
    plain,
    render_card,
    shorten,
)
from tocsin.slack.views.message_name import as_announced, as_name
from tocsin.slack.views.mrkdwn_text import FENCE

# The incident's card, the same wherever it is posted.

_Text = RichTextElementParts.Text
_Link = RichTextElementParts.Link
QUOTE_LIMIT = 500
"""Characters of the summary that the card shows; the incident's page has all of it."""

WORD_LIMIT = 150
"""Characters of a name that comes from elsewhere, such as a severity's or a person's."""

# Shapes of Slack's ids (Slack, object types). Anything else is shown as text, never as a mention.
_PERSON = re.compile(r"[UW][A-Z0-9]{1,30}")
_CHANNEL = re.compile(r"[CGD][A-Z0-9]{1,30}")

_UNQUOTED = re.compile(r"^(?:> ?)+")
_BOLD = RichTextElementParts.TextStyle(bold=True)


def card(incident: Incident) -> list[Block]:
    """Build the card: reference, permalink, channel, severity, status, lead and reporter.

    Text that people wrote is in plain text elements, which can become neither a mention nor a link.
    """
    return list(render_card(IdentityKey(incident, _card)))


def _card(incident: Incident) -> list[Block]:
    said = context(*_alerts(incident), _declared_by(incident))
    return [_title(incident), _facts(incident), ActionsBlock(elements=_buttons(incident)), said]


def _buttons(incident: Incident) -> list[InteractiveElement]:
    """Return the most used buttons and a menu with the rest; *Reopen* and *Export* once it has ended.

    In triage the most used ones are those that decide if it is an incident.
    """
    page = (
        [ButtonElement(action_id="open_incident", text=plain("Open incident"), url=incident.permalink)]
        if incident.permalink
        else []
    )
    if not incident.incident_status.is_open:
        reopen = ButtonElement(action_id="reopen_incident", text=plain("Reopen"), value=incident.id)
        take_away = ButtonElement(action_id="export_incident", text=plain("Export"), value=incident.id)
        return [*page, reopen, take_away]
    join = [join_button(address)] if (address := call_address(incident)) else []
    if incident.incident_status.is_triage:
        return [*_decisions(incident), *join, *page, _menu(incident)]
    update = ButtonElement(action_id="update_incident", text=plain("Update"), value=incident.id)
    take = ButtonElement(action_id="take_lead", text=plain("Take the lead"), value=incident.id)
    return [update, *join, *([take] if incident.lead is None else []), *page, _menu(incident)]


def call_address(incident: Incident) -> str | None:
    """Return the address of the call; None if there is none, or none that a button takes."""
    address = incident.call_link
    return address if address and is_link(address) else None


def join_button(address: str) -> ButtonElement:
    return ButtonElement(action_id="join_call", text=plain("Join the call"), url=address)


def _decisions(incident: Incident) -> list[InteractiveElement]:
    return [
        ButtonElement(action_id="accept_incident", text=plain("Accept"), value=incident.id, style="primary"),
        ButtonElement(action_id="decline_incident", text=plain("Decline"), value=incident.id),
        ButtonElement(action_id="merge_incident", text=plain("Merge"), value=incident.id),
    ]


def _menu(incident: Incident) -> OverflowMenuElement:
    """Build the menu of at most five options (Slack, overflow menu element)."""
    is_triage = incident.incident_status.is_triage
    lines = {
        **({Verb.UPDATE: "Update"} if is_triage else {}),
        Verb.ROLE: "Assign roles",
        Verb.ACTION: "Actions",
        Verb.NOTE: "Add a note to the timeline",
        **({} if is_triage else {Verb.FOLLOW: "Follow", Verb.CLOSE: "Close"}),
    }
    return verb_menu(incident, lines)


def verb_menu(incident: Incident, lines: Mapping[Verb, str]) -> OverflowMenuElement:
    """Build the menu of verbs on an incident, each with its words."""
    options = [option(f"{verb} {incident.id}", words) for verb, words in lines.items()]
    return OverflowMenuElement(action_id="incident_menu", options=options)


def card_text(incident: Incident) -> str:
    """Return the text that notifications and screen readers use in place of the card."""
    name = escape(shorten(incident.name, NAME_LIMIT))
    parts = [f"{_word(incident.reference)}: {name}", *marks(incident)]
    if incident.severity:
        parts.append(_word(incident.severity.name))
    parts.append(_word(incident.incident_status.name))
    if incident.slack_channel_id:
        parts.append(channel(incident))
    if incident.permalink:
        parts.append(f"<{incident.permalink}>")
    return " · ".join(parts)


_MODES = {
    "test": ":test_tube: Test",
    "retrospective": ":rewind: Retrospective",
    "tutorial": ":mortar_board: Tutorial",
    "stream": ":twisted_rightwards_arrows: Stream",
}
"""Labels of the modes that are not standard (incident.io, Incidents V2: `mode`)."""


def marks(incident: Incident) -> list[str]:
    """Return the labels of a private incident and of an unusual mode, which must be seen at a glance."""
    label = _MODES.get(incident.mode, _word(incident.mode.capitalize()))
    return [":lock: Private"] * incident.is_private + [label] * (incident.mode != "standard")


def person(who: Person | None) -> str:
    """Return a person as mrkdwn: a mention if their Slack id is known, else their name."""
    if who is None:
        return "Nobody yet"
    if who.slack_user_id and _PERSON.fullmatch(who.slack_user_id):
        return f"<@{who.slack_user_id}>"
    return _word(display_name(who) or "Nobody yet")


def channel(incident: Incident) -> str:
    """Return the incident's channel as a mrkdwn link; empty if it has none."""
    if _CHANNEL.fullmatch(incident.slack_channel_id):
        return f"<#{incident.slack_channel_id}>"
    return _word(f"#{incident.slack_channel_name}") if incident.slack_channel_name else ""


def _word(text: str) -> str:
    return escape(shorten(text, WORD_LIMIT))


def name_block(incident: Incident) -> RichTextBlock:
    """Build a block with the incident's name alone."""
    return RichTextBlock(
        elements=[RichTextSectionElement(elements=[_Text(text=_name(incident), style=_BOLD)])]
    )


def _name(incident: Incident) -> str:
    return shorten(incident.name, NAME_LIMIT) or "(no name)"


def facts_line(incident: Incident) -> str:
    """Return the card's facts in one line of mrkdwn, for places that show the name and the link already."""
    said = [*marks(incident), *([_word(incident.severity.name)] if incident.severity else [])]
    lead = f"Lead: {person(incident.lead)}" if incident.lead else "No lead yet"
    return " · ".join([*said, _word(incident.incident_status.name), lead])


def _title(incident: Incident) -> RichTextBlock:
    said = shorten(incident.reference, WORD_LIMIT) or "(no reference)"
    reference = (
        _Link(url=incident.permalink, text=said, style=_BOLD)
        if incident.permalink
        else _Text(text=said, style=_BOLD)
    )
    parts: list[RichTextSectionElement | RichTextQuoteElement] = [
        RichTextSectionElement(elements=[reference, _Text(text=f"  {_name(incident)}", style=_BOLD)])
    ]
    if quote := _quoted(incident):
        parts.append(RichTextQuoteElement(elements=[_Text(text=shorten(quote, QUOTE_LIMIT))]))
    return RichTextBlock(elements=parts)


def _quoted(incident: Incident) -> str:
    """Return the summary without quote marks, fences, and what the card shows elsewhere."""
    lines = incident.summary.splitlines()
    if incident.source and incident.source.permalink and lines:
        lines[-1] = lines[-1].removesuffix(incident.source.permalink).rstrip()
    lines = [line for line in (_UNQUOTED.sub("", line) for line in lines) if line.strip() != FENCE.read]
    first = lines[0].replace("`", "") if lines else ""
    if lines and incident.name in {lines[0], as_name(first), as_announced(first)}:
        lines = lines[1:]
        # If the name is the whole message, only the author would be left, and the source link leads there.
        lines = [] if len(lines) == 1 and lines[0].startswith("—") else lines
    return "\n".join(lines).strip(" \n")


def _facts(incident: Incident) -> SectionBlock:
    facts = {
        "Severity": _word(incident.severity.name) if incident.severity else "Not set",
        "Status": _word(incident.incident_status.name),
        "Lead": person(incident.lead),
        "Channel": channel(incident) or ("None" if incident.is_retrospective else "None yet"),
    }
    return SectionBlock(fields=[mrkdwn(f"*{name}*\n{value}", FIELD_LIMIT) for name, value in facts.items()])


def unknown_people(incident: Incident) -> list[str]:
    """Return a sentence on people who could not get their role because the backend does not know them."""
    named = join_names(person(Person(slack_user_id=who)) for who in incident.strangers)
    return [f"{named} could not be given a role: not known where incidents are kept."] if named else []


def _alerts(incident: Incident) -> list[str]:
    """Return the line of the incident's alerts: their numbers, and the newest titles."""
    alerts = incident.alerts
    if alerts is None:
        return []
    titles = ", ".join(_word(title) for title in alerts.latest)
    return [f":bell: *{alerts_in_words(alerts)}*{f': {titles}' if titles else ''}"]


def _declared_by(incident: Incident) -> str:
    said = [f"Declared{declared_by(incident)} {date_token(incident.created_at)}"]
    if incident.source and incident.source.permalink:
        said.append(link(incident.source.permalink, "Source message"))
    return " · ".join([*marks(incident), *said, *unknown_people(incident), *_undecided(incident)])


def _undecided(incident: Incident) -> list[str]:
    """Return what is to be decided of an incident in triage."""
    return ["In triage: accept it if it is an incident"] if incident.incident_status.is_triage else []


def declared_by(incident: Incident) -> str:
    """Return `by` and the person or the automation that declared it; empty if neither is known."""
    if incident.creator.slack_user_id:
        return f" by {person(incident.creator)}"
    named = declarer(incident)
    return f" by {_word(named)}" if named else ""


# The channel's topic, purpose and bookmark.

TOPIC_LIMIT = 250
"""Characters of a topic or a purpose (Slack, conversations.setTopic and setPurpose: `too_long`)."""

BOOKMARK_LIMIT = 256
MOST_LINK_BOOKMARKS = 10
"""Link fields that become bookmarks of the channel; each costs a call to Slack."""


def topic(incident: Incident) -> str:
    severity = [incident.severity.name] if incident.severity else []
    said = [*marks(incident), *severity, incident.incident_status.name, incident.name]
    return _fitting(" · ".join(said))


def purpose(incident: Incident) -> str:
    return _fitting(f"{incident.reference}: {incident.name}")


def is_purpose_of(incident: Incident, said: str) -> bool:
    """True if a channel's purpose was written for this incident. Slack may mark up all but its beginning."""
    return said.startswith(f"{incident.reference}:")


def bookmarks(incident: Incident) -> list[tuple[str, str]]:
    """Return titles and links of the channel's bookmarks: the incident, its call, and its link fields.

    Source: incident.io, Custom Fields V1: a link "is synced to Slack bookmarks on the incident channel".
    """
    call = call_address(incident)
    fields = [
        (shorten(entry.custom_field.name, BOOKMARK_LIMIT), value.value_link)
        for entry in incident.custom_field_entries
        for value in entry.values
        if value.value_link and is_link(value.value_link)
    ]
    page = [(bookmark_title(incident), incident.permalink)] if incident.permalink else []
    found = [*page, *([("Call", call)] if call else []), *fields[:MOST_LINK_BOOKMARKS]]
    first: dict[str, str] = {}
    for title, address in found:
        first.setdefault(address, title)
    return [(title, address) for address, title in first.items()]


def bookmark_title(incident: Incident) -> str:
    return shorten(f"{incident.reference} {incident.name}", BOOKMARK_LIMIT)


def _fitting(text: str) -> str:
    """Return the text escaped, cut so that the escaped text fits into the limit."""
    room = TOPIC_LIMIT
    while len(said := escape(shorten(text, room))) > TOPIC_LIMIT:
        room -= 10
    return said
