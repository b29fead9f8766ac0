"""Issues of follow-ups in a tracker: the filled address of its form, and links that are pasted back. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from string import Formatter
from urllib.parse import quote, urlsplit

from tocsin.incidents.model import ExternalIssue, FollowUp, FrozenModel, Incident, display_name
from tocsin.incidents.validation import is_link

BUTTON_URL_LIMIT = 3000
"""Characters of a button's URL (Slack, button element)."""

TITLE_LIMIT = 200
TEMPLATE_LIMIT = 1000
PLACEHOLDERS = ("title", "body", "reference", "severity", "permalink")

_PROVIDERS = {
    "github": r"(^|\.)github\.",
    "gitlab": r"(^|\.)gitlab\.",
    "jira": r"(^|\.)(jira\.|atlassian\.net$)",
    "linear": r"(^|\.)linear\.app$",
}
"""Issue trackers as incident.io names them (Follow-ups V2: `provider`), by their hosts."""

_NUMBER = re.compile(r"/(?:issues|work_items)/(\d+)(?:/|$)")
_KEY = re.compile(r"/(?:browse|issue)/([A-Za-z][A-Za-z0-9_]*-\d+)(?:/|$)")


class Tracker(FrozenModel):
    """An issue tracker by the address of its form for a new issue, in which placeholders are filled in."""

    url: str

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    def new_issue_url(self, incident: Incident, follow_up: FollowUp) -> str | None:
        """Return the address of the filled form; None for an action, and if there is an issue or no need.

        The body is cut, and then the title, until it fits into a button. Of a private incident only the
        follow-up, the reference and the link are in it.
        """
        is_asked = follow_up.kind == "follow_up" and not follow_up.is_done
        if not is_asked or follow_up.external_issue_reference is not None:
            return None
        body, title = _body(incident, follow_up), " ".join(follow_up.text.split())[:TITLE_LIMIT]
        values = {
            "reference": incident.reference,
            "severity": incident.severity.name if incident.severity and not incident.is_private else "",
            "permalink": incident.permalink or "",
        }
        bare = len(self._filled(values))
        uses = [name for _, name, _, _ in Formatter().parse(self.url)]
        title = _fitting(title, (BUTTON_URL_LIMIT - bare) // max(1, uses.count("title")))
        bare = len(self._filled({**values, "title": title}))
        body = _fitting(body, (BUTTON_URL_LIMIT - bare) // max(1, uses.count("body")))
        filled = self._filled({**values, "title": title, "body": body})
        return filled if len(filled) <= BUTTON_URL_LIMIT else None

    def _filled(self, values: Mapping[str, str]) -> str:
        return self.url.format_map({name: _encoded(values.get(name, "")) for name in PLACEHOLDERS})

    def has(self, url: str) -> bool:
        """True if an address is one of this tracker's."""
        return is_link(url) and (urlsplit(url).hostname or "") == self.host

    def link_in(self, text: str) -> tuple[str, str] | None:
        """Return the only link to this tracker in a text, and the text without it; None if there is not one.

        The link is written plainly, or as Slack marks it up: `<https://…>` or `<https://…|words>`.
        """
        found = [link for link in _LINKED.finditer(text) if self.has(_address(link))]
        if len(found) != 1:
            return None
        rest = f"{text[: found[0].start()].rstrip()} {text[found[0].end() :].lstrip()}"
        return _address(found[0]), rest.strip(" \t\n,:;–—-")


_LINKED = re.compile(r"<(https?://[^<>|\s]+)(?:\|[^<>]*)?>|(https?://[^<>|\s]+)")


def _address(link: re.Match[str]) -> str:
    return (link[1] or link[2].rstrip(".,;:!?)")).replace("&amp;", "&")


def template_error(template: str) -> str:
    """Return the error of an address with placeholders as words for the operator; empty if it is valid."""
    try:
        parts = list(Formatter().parse(template))
    except ValueError:
        return "a brace has no partner; write placeholders as in {title}"
    listed = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
    for _, name, form, conversion in parts:
        if name is not None and (name not in PLACEHOLDERS or form or conversion):
            return f"{{{name}}} is no placeholder; there are {listed}"
    if not any(name == "title" for _, name, _, _ in parts):
        return "give {title}, in which the follow-up goes"
    if not template.startswith("https://") or not is_link(template) or "{" in urlsplit(template).netloc:
        return "give an address that begins with https:// and a host, such as 'https://github.com/…'"
    if len(template) > TEMPLATE_LIMIT:
        return f"shorten it to {TEMPLATE_LIMIT} characters"
    return ""


def issue_at(url: str) -> ExternalIssue:
    """Return the issue at an address, with its number or key and its tracker as far as they can be read."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    provider = next((name for name, shape in _PROVIDERS.items() if re.search(shape, host)), "")
    number, key = _NUMBER.search(parts.path), _KEY.search(parts.path)
    name = f"#{number[1]}" if number else key[1].upper() if key else ""
    return ExternalIssue(provider=provider, issue_name=name, issue_permalink=url)


def issue_label(issue: ExternalIssue) -> str:
    """Return an issue's name, or a word for it."""
    return issue.issue_name or "its issue"


def _body(incident: Incident, follow_up: FollowUp) -> str:
    named = incident.reference if incident.is_private else f"{incident.reference}: {incident.name}"
    lines = [follow_up.text, "", f"Follow-up of incident {named}"]
    if incident.permalink:
        lines.append(incident.permalink)
    if not incident.is_private:
        if incident.severity is not None:
            lines.append(f"Severity: {incident.severity.name}")
        if lead := display_name(incident.lead):
            lines.append(f"Lead: {lead}")
        if incident.summary:
            lines += ["", incident.summary]
    return "\n".join(lines)


def _fitting(text: str, room: int) -> str:
    """Return as much of the text as has room once it is percent-encoded, with an ellipsis if it is cut."""
    if len(_encoded(text)) <= room:
        return text
    left, kept = room - len(_encoded("…")), 0
    for character in text:
        left -= len(_encoded(character))
        if left < 0:
            break
        kept += 1
    return f"{text[:kept].rstrip()}…" if kept else ""


def _encoded(text: str) -> str:
    return quote(text, safe="", errors="replace")
