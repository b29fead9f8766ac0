"""The name that the lines of a message give an incident: what broke, and where, without decoration."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final

from tocsin.incidents.parsing import these

# A line as a name: without addresses, marks, pictures, states and dates.

SPOKEN = 1000
"""Characters of a line that are used for a name."""

_URL = r"\b(?:[a-z][a-z0-9+.-]{0,20}://|mailto:|tel:)[^\s<>|]+"
ADDRESS = re.compile(rf"\({_URL}\)|{_URL}", re.IGNORECASE)
_POINTER = re.compile(
    r"(?:^|[\s,;:(–—-]{1,4})(?:see|at|via|here|link|details)\s*:?\s*" + _URL + "$", re.IGNORECASE
)
"""Words that point to an address at the end of a line, and mean nothing without it."""

_DATED = re.compile(
    r"\[[^\[\]]*(?:\b\d{1,4}[-/.]\d\d?[-/.]\d{1,4}|\d\d?:\d\d|\d(?:st|nd|rd|th),)[^\[\]]*\]\s*"
)
_LOGGED = re.compile(
    r"(?:\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?|[A-Z][a-z]{2} \d\d? \d\d:\d\d:\d\d|\d\d:\d\d:\d\d)"
    r"(?:[.,]\d+)?(?:Z| ?[+-]\d\d:?\d\d| UTC)?:? "
)
"""Time without brackets before a line of a log."""

SAID_BY = re.compile(r"\[[A-Z][a-z]+ \d\d?(?:st|nd|rd|th)\b[^\[\]\n]*\]\s*[^:\n]{0,80}:(?:\s+|$)")
"""Prefix that Slack gives the fallback of a forwarded message: `[July 6th, 2023 6:47 AM] PagerDuty: `."""

_STATES = (
    "firing|resolved|alerting|alert|triggered|re-?triggered|recovered|ok|no ?data|warn|pending|normal|"
    "acknowledged"
)
_BRACKETED = r"\[(?:{0})(?::\s*\d+)?(?:[,|\s]+(?:{0})(?::\s*\d+)?)*\]\s*"
_STATE = re.compile(f"(?:{_BRACKETED.format(_STATES)})+", re.IGNORECASE)
"""Current state of an alert, such as `[FIRING:1]` or `[Triggered]`, which is no part of its name."""

_STATE_OF_ALERT = re.compile(
    r"((?:\[[^\[\]]{1,40}\]\s*)?)" + _BRACKETED.format(f"{_STATES}|ack|open|closed"), re.IGNORECASE
)
"""State that an app writes, also behind a priority: `[P1] [Triggered]`."""

_OPENING = re.compile(r"(?:(?:#{1,6}|[-*+•◦▪‣–—>|]+|\d{1,2}[.)])\s+|[>|•◦▪‣]+)+")
_COUNTED = re.compile(r" \(\d+ (?:alerts?|incidents?|problems?|issues?|events?|firing|new)\)$", re.IGNORECASE)
_ASKING = re.compile(r"(?<=\w[.!]) Please ([\w ]+)[.!]*$")
_ASKED: Final = these("""
    investigate check look help see review acknowledge ack take a have into at it this these the us out on
    here log logs alert alerts issue issues incident incidents problem dashboard runbook details below above
    link now asap immediately urgently as soon possible and
""")
"""Words of a last sentence that only asks readers for help: `Checkout is down. Please investigate.`"""

_EMPTY = re.compile(r"\(\s*\)|\[\s*\]|<\s*>")
_PICTURES = re.compile(
    "[\u231a\u231b\u23e9-\u23ff\u2600-\u27bf\u2b00-\u2bff\U0001f000-\U0001f1e5\U0001f200-\U0001faff]"
    "[\ufe0f\u200d]*"
)
_FLAG = re.compile("[\U0001f1e6-\U0001f1ff]+")
"""Flags of countries, which are words: `Users in 🇩🇪 cannot log in`."""

_ENCLOSED = re.compile(r"\(([^()]+)\)")
_BEFORE, _BEHIND = " \t|,;:·•", " \t|,;:·•-–—"
_MARKS, _ROUNDS = 10, 4
"""Marks and announcements that are removed before a line; more of them would only cost time."""


def as_name(text: str) -> str:
    """Return text as a name: without addresses, pictures, and marks, states and dates before it."""
    said = ADDRESS.sub("", _POINTER.sub("", text[:SPOKEN]))
    said = re.sub(r"\s+", " ", _PICTURES.sub(" ", said))
    return _unmarked(_EMPTY.sub("", re.sub(r"(?<=[(\[]) | (?=[)\]])", "", said)))


def _unmarked(said: str) -> str:
    """Remove marks, states and dates before what is said, and marks behind it."""
    for _ in range(_MARKS):
        before, said = said, said.lstrip(_BEFORE)
        for opening in (SAID_BY, _DATED, _STATE, _OPENING):
            if found := opening.match(said):
                said = said[found.end() :]
        said = said[next((at for at, one in enumerate(said) if not _is_picture(one)), len(said)) :]
        if said == before:
            break
    return said.rstrip(_BEHIND)


def as_announced(text: str) -> str:
    """Return what an app says as a name, also without words that announce it, and without its last full stop.

    A person's line keeps these: it is what a person calls the incident.
    """
    said = as_name(text)
    for _ in range(_ROUNDS):
        before = said
        for opening, kept in ((_STATE_OF_ALERT, r"\1"), (_LOGGED, "")):
            if found := opening.match(said):
                said = found.expand(kept) + said[found.end() :]
        said = _unmarked(_unannounced(said))
        if said == before:
            break
    said = re.sub(r" \*+$", "", _unasked(said).rstrip(_BEHIND)).rstrip(_BEHIND)
    said = _COUNTED.sub("", said)
    said = found[1] if (found := _ENCLOSED.fullmatch(said)) else said
    return said[:-1] if said.endswith(".") and ". " not in said and ".." not in said else said


def _unasked(said: str) -> str:
    """Remove a last sentence that only asks for help. A request that says more stays."""
    found = _ASKING.search(said)
    return said[: found.start()] if found and _has_only(_ASKED, found[1]) else said


def _is_picture(character: str) -> bool:
    """True for a space or an emoji: a symbol that is no currency, degree, arithmetic sign or flag."""
    is_symbol = ord(character) > 0x2000 and unicodedata.category(character) in {"So", "Sk"}
    return character in " \t\ufe0f\u200d" or (is_symbol and not _FLAG.match(character))


def is_flag(text: str) -> bool:
    return bool(_FLAG.fullmatch(text))


def has_words(text: str) -> bool:
    return any(character.isalnum() for character in text)


# Words that notifiers put before what they have to say, or beside it.

_LEVELS: Final = these(
    "firing fired triggered re-triggered alerting acknowledged resolved recovered critical warning"
    " high medium low info"
)
_NOTICES: Final = these("alert alarm notification elastalert")
_ALARMS: Final = _NOTICES | these(
    "incident problem firing fired triggered re-triggered acknowledged resolved recovered recovery"
)
"""Words of which one is in each announcement that ends with a colon or a dash: `PROBLEM Service Alert:`."""

_NOTIFIERS: Final = these("""
    airflow alertmanager amazon argocd aws azure botkube checkmk circleci cloudwatch cronitor datadog dbt
    dynatrace elastic elementary falco gatus gcp github gitlab glitchtip google grafana graylog healthchecks
    icinga jenkins kibana kuma kwatch librenms nagios netdata newrelic opsgenie pagerduty pingdom prometheus
    robusta rollbar sensu sentry spinnaker splunk statping statuscake uptime uptimerobot wazuh zabbix
""")
_FILLERS: Final = these("""
    a an the is has been was just in of new updated opened open closed started created detected event
    events alerts alarms notifications incidents problems issue issues monitor monitoring system service
    host severity status state time description details additional information summary message messages
    value values label labels annotation annotations source tags table column field fields
""")
_ANNOUNCING: Final = _LEVELS | _ALARMS | _NOTIFIERS | _FILLERS
"""Words of announcements; a line of these alone says nothing."""

_UNSPECIFIC: Final = these("""
    failed failing failure fails aborted canceled cancelled succeeded success unstable timeout crashed crash
    unhealthy degraded job jobs build builds task tasks test tests run runs pipeline workflow deployment
    deploy check action actions pod pods v1 apps error errors exception not
""")
"""Words of lines that say what happened, but not to what: `Job failed.`"""

_SUBJECTS: Final = (
    "summary", "title", "problem", "alert", "alertname", "alarm", "event", "rule", "condition", "monitor",
    "check", "test", "task", "job", "step", "workflow", "pipeline", "pod", "container", "deployment", "name",
    "service", "dag", "repo", "repository", "project", "application", "app", "queue", "database", "device",
    "host", "entity", "server", "node", "instance", "namespace", "message", "messages", "reason", "cause",
    "error", "description", "state",
)  # fmt: skip
"""Labels of pairs that say what an alert is about, the most telling one first."""

_ATTRIBUTES: Final = these("severity priority urgency status state time date id number")
_MOMENTS: Final = these("started opened created closed updated detected at since")
"""Last words of a label before what an incident has, or since when: `Incident status: Investigating`."""

_LABELS: Final = (
    _ATTRIBUTES
    | _MOMENTS
    | these("""
    start end duration period environment region cluster zone link url log runbook dashboard kind type branch
    author commit ref account owner team assignee impact host service system source value values label labels
    tags table column field fields
""")
)
"""Last words of labels before values that are no name, also in lower case."""

_TIMES: Final = these("""
    today yesterday tomorrow at on in ago just now since for from until to a an the
    second seconds sec minute minutes min mins hour hours day days week weeks am pm utc gmt cet cest est edt
    pst pdt bst monday tuesday wednesday thursday friday saturday sunday mon tue tues wed thu thur thurs fri
    sat sun january february march april may june july august september october november december jan feb mar
    apr jun jul aug sep sept oct nov dec
""")
_POINTING: Final = these(
    "open view see show details detail link here logs log more click read full in this the"
)
_BUTTONS: Final = these("""
    acknowledge ack resolve investigate silence snooze mute escalate assign reassign dismiss ignore close
    reopen runbook dashboard playbook
""")
_ASIDE: Final = _ANNOUNCING | _TIMES | _POINTING | _BUTTONS
"""Words of lines that are no name in place of a first line that says nothing."""

_PAIR = re.compile(r"([A-Za-z][\w .@-]{0,24}?)(?: \([^()]*\))?(?::| =) (.+)")
_TITLED = re.compile(r"[A-Z][a-z]+(?: [A-Za-z]+){0,2}")
_QUALIFIED = re.compile(r"^(?:failed|affected) | (?:name|title)$")
"""Words of a label that do not change what it is about: `Failed job`, `Alarm name`."""

_BESIDE = re.compile(r" ?[|·] ?| [(\[](?:IP: )?[\d.:a-f]+[)\]]")
"""End of a value: a bar before the next pair, or the address of a host in brackets."""

_LEAD = re.compile(r"([^:]{1,60}?)(?::| [-–—]) (?=\S)|\[([^\[\]]{1,40})\] ?(?=\S)")
_SEPARATED = re.compile(r"[(\[|·•]\s*$")
_LEADING_ON = re.compile(
    r"(?:(?:^|\s)(?:to|of|from|on|at|in|into|for|by|via|is|are|with|the|a|this|these|and|or|not|no|still|can"
    r"|cannot|\w+n['’]t|could|press|click|see|open|view|read|visit)|[:=>→])\s*$",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"#\d|(?<![-/.:\d])\d{3,}(?![-/.:\d])")
"""Number by which an alert is found again, as in `Triggered #4711`; no date, duration or count."""

_COUNT = re.compile(r"\d+(?:[smhdz]|am|pm|st|nd|rd|th)?|\d+-\d+-\d+(?:t\d+)?")

_MOST_WORDS, _MOST_PAIRS, _FEW_WORDS, _SHORT = 4, 3, 3, 2


def _words(text: str) -> frozenset[str]:
    """Return the words of a text in lower case, without numbers, durations, dates and times."""
    found = re.findall(r"[^\W_]+(?:[-'][^\W_]+)*", text.casefold())
    return frozenset(word for word in found if not _COUNT.fullmatch(word))


def _has_only(words: frozenset[str], text: str) -> bool:
    """True if a text has words, and all of them are among these."""
    return bool(said := _words(text)) and said <= words


def _unannounced(said: str) -> str:
    """Remove a beginning that only announces the rest: `Resolved in 5m: `, `AWS notification - `.

    What an incident or a problem of GitHub is called begins with GitHub. A beginning with a number stays, and
    so does the label of a value: `Incident status: `.
    """
    found = _LEAD.match(said)
    lead = found[1] or found[2] if found else ""
    words = _words(lead)
    is_named = words & _NOTICES if words & _NOTIFIERS else words & _ALARMS
    is_bare = is_named and words <= _ANNOUNCING and not _NUMBER.search(lead)
    return said[found.end() :] if found and is_bare and _last(lead) not in _LABELS else said


def is_level(text: str) -> bool:
    """True if a text has no words but those of a state or a severity, such as `firing` and `critical`."""
    return _has_only(_LEVELS, text)


def is_button(before: str, text: str) -> bool:
    """True if a link at the end of a line only points elsewhere, as a button does: *Open*, *View details*.

    In a sentence, such as *Users cannot log in*, a link is among the words.
    """
    is_apart = bool(_SEPARATED.search(before)) or text[:1].isupper()
    return is_apart and _has_only(_POINTING, text) and not _LEADING_ON.search(before)


def choose(lead: str, below: Iterable[str], about: str) -> str:
    """Return the first line of an app, or what the lines below say if all of its words only announce them.

    A line that says what happened, but not to what, is completed from labelled pairs (`Job failed: backup`),
    or else from `about`, the thing that is the author. A line with a number says to what. The lines below are
    read only if they are needed.
    """
    others: Sequence[str] = ()
    if _says_nothing(lead):
        others = list(below)
        told = next((line for line in others if _is_telling(line)), "")
        if not told or _label(told) in _SUBJECTS:
            return _of_pairs(others, lead) or lead
        lead = told
    is_general = _has_only(_ANNOUNCING | _UNSPECIFIC, lead) or _is_kind_of_alert(lead)
    if not is_general or _NUMBER.search(lead):
        return lead
    what = _of_pairs(others or list(below), lead) or about
    return f"{lead}: {what}" if what else lead


def _says_nothing(line: str) -> bool:
    """True if all words of a line are those of announcements, and no number is among them.

    So does one that only says how grave the incident is, or since when: `Incident status: Investigating`.
    """
    return (_has_only(_ANNOUNCING, line) and not _NUMBER.search(line)) or _is_attribute(line)


def _is_attribute(line: str) -> bool:
    """True for an attribute of an incident with a short value, or the time of a moment."""
    label, _, value = line.partition(": ")
    own = len(_words(value) - _TIMES)
    is_short = (_last(label) in _ATTRIBUTES and own <= _SHORT) or (_last(label) in _MOMENTS and not own)
    return bool(value) and is_short and bool(_words(label) & _ALARMS) and len(label.split()) <= _FEW_WORDS


def _is_kind_of_alert(lead: str) -> bool:
    """True for few words of which the last one is *alert*: `Replication alert`."""
    words = lead.casefold().split()
    return len(words) <= _FEW_WORDS and words[-1].strip("!:") in _NOTICES


def _is_telling(line: str) -> bool:
    """True if a line has words of its own, or a label of what it is about, and is not for one person."""
    if _PAIR.fullmatch(line) and _label(line) in _SUBJECTS:
        return True
    return not (_is_value(line) or _words(line) <= _ASIDE or line.startswith("@"))


def _is_value(line: str) -> bool:
    """True for a pair whose label does not say what happened: `Owner: Ana`, `severity = critical`.

    Words that begin in capitals are a label; a host, a state or a failure before a colon is none.
    """
    found = _PAIR.fullmatch(line)
    if not found:
        return False
    if _last(found[1]) in _LABELS or line[found.start(2) - 3 : found.start(2)] == " = ":
        return True
    return bool(_TITLED.fullmatch(found[1])) and not _words(found[1]) <= _LEVELS | _UNSPECIFIC


def _of_pairs(lines: Sequence[str], lead: str) -> str:
    """Return the values of the most telling pairs that the first line lacks, until they have enough words."""
    pairs = dict(reversed([(_label(line), found[2]) for line in lines if (found := _PAIR.fullmatch(line))]))
    values: list[str] = []
    for subject in _SUBJECTS:
        value = _BESIDE.split(pairs.get(subject, ""))[0].strip(" _*`")
        if value and value.casefold() not in lead.casefold():
            values.append(value)
        if len(values) == _MOST_PAIRS or len(" ".join(values).split()) >= _MOST_WORDS:
            break
    return ", ".join(dict.fromkeys(values))


def _last(text: str) -> str:
    return text.casefold().split()[-1] if text.strip() else ""


def _label(line: str) -> str:
    return _QUALIFIED.sub("", found[1].casefold()) if (found := _PAIR.fullmatch(line)) else ""
