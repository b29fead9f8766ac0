"""Heuristic for commands that read like the name of a new incident, though they begin with a verb.

*Close to running out of disk* is not a command to close anything. No rule is certain, so people are asked
if a wrong guess would cost them something. A command reads like a name if

- the verb takes a choice, a person or nothing, and what follows is none of these: *status page is down*,
  *lead times exploded*, *help desk phones are down*, *private keys leaked on GitHub*;
- the verb is in quotes: *“close” button does nothing*;
- the verb takes any text, and the next words make one phrase with it: *update of prices …*, *note is …*,
  *update server crashed*;
- the verb is written as a sentence begins, *Update service slow*, and what follows neither begins as people
  speak (*we*, *it*) nor says what has been done (*rolled back*, *fixed*);
- the verb ends or reopens an incident, for which the rule is strictest. A preposition is enough, *close to
  …*; so is a thing that is named after what it does, *cancel button*, a sentence with the verb in its
  subject, *close dialog is grey*, or a problem that is not said to be over, *decline rate exploded*;
- the verb accepts an incident, and is the subject of what follows or part of it: *accept button does
  nothing*. What follows may be a problem.

It does not if an incident is named after the verb, if nothing follows, or if a verb that takes any text is
set off by a colon, a comma, a dash or a line break: *close: to be sure*, *Close INC-2 …*.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from tocsin.incidents.errors import Refused
from tocsin.incidents.export import ENDINGS
from tocsin.incidents.model import Form
from tocsin.incidents.nudges import parse_snooze
from tocsin.incidents.parsing import Choice, bare, match_prefix, parse_filter, role_spellings, spans, these
from tocsin.slack.command_text import First, as_read, named_in_passing, reference_in, references_in

ENDING = these("close decline cancel reopen")
"""Verbs that end an incident or reopen it, with any text."""

_TELLING = these("update note rename summary action follow-up")
"""Verbs that take any text, and can simply be given again."""

_POLITE = these("me please now with this incident it")
_INTO = these("into with to in as of it this duplicate dup part is incident and")
"""Words between *merge* and the incident that this one is part of."""

_WHEN = these("ago now noon midnight am pm z utc yesterday today")
"""Words with which a time ends."""

_PREPOSITIONS = these("to of on in at for from into between under within beyond near")
_SUBJECTS = these("is are of fails failing keeps hangs crashes breaks")
"""Words that make such a verb the subject of a sentence: *update fails on prod*."""

_FINITE = these(
    "is are isn't aren't isnt arent was wasn't were weren't does doesn't doesnt don't has hasn't keeps fails"
    " failing crashes hangs breaks throws returns shows takes gives won't can't cannot"
)
_COMPOUNDS = these(
    "account accounts api app button buttons call calls card channel channels cron dialog email emails"
    " endpoint endpoints event events feature flow form forms handler hook icon job jobs key keys link links"
    " mail mails menu message messages modal notification notifications option order orders page pages path"
    " pipeline queue queues rate rates request requests screen script server servers service services"
    " subscription subscriptions tab task tasks ticket tickets webhook webhooks worker workers"
)
"""Things that are named after what they do: *close button*, *cancel order*."""

_SPEAKING = these(
    "we i it they he she this that these those there our my as by because since after due per thanks no not"
    " nothing cannot can't everything all known only just user"
)
"""Words with which people begin to say what happened."""

_DONE = these(
    "fixed resolved recovered restored rolled reverted mended restarted redeployed patched mitigated solved"
    " repaired rotated replaced healthy normal stable duplicate duplicated dup drill mistake hotfix ended"
    " finished passed subsided deployed corrected failed-over"
)
_BACK = re.compile(
    r"\b(?:is|are|was|were|came|come|all|up|and|switched|brought) (?:back|fine|good|ok|okay|over|gone)\b"
)
_UNDONE = these("not never isn't aren't doesn't doesnt won't can't cannot stopped stops nothing")
_TROUBLED = these(
    "down broken broke failing fails failed fail stuck slow empty missing leak leaked leaking leaks error"
    " errors crash crashed crashes crashing exploded timeout timeouts unavailable full hangs doesn't doesnt"
    " won't can't cannot lost late refused denied unreachable flapping spiking high dead outage offline"
    " unresponsive corrupt corrupted blank hacked breached overloaded degraded wrong 500s 404s 5xx"
)


def reads_like_a_name(
    first: First, form: Form, names: Mapping[str, str], targets: Sequence[Choice] = ()
) -> bool:
    """True if the verb and the text after it may be meant as the name of a new incident.

    `names` are names of people, by id; `targets` can be paged.
    """
    text = as_read(first.rest, {})
    said = [bare(text[start:end]) for start, end in spans(text)]
    named = reference_in(first.rest, bare_number=False)
    if not said or named_in_passing(first.rest) or (named and named[0].by != "address"):
        return False
    if first.word in ENDING or first.word in _TELLING:
        return not first.set_off and (first.quoted or _is_one_phrase(first, said))
    doubtful = len(said) > 2 or _is_a_beginning(first) or not _TROUBLED.isdisjoint(said)
    match first.word:
        case "status":
            return _is_no_choice(text, form.statuses, doubtful)
        case "severity":
            return _is_no_choice(text, form.severities, doubtful)
        case "fields":
            return _is_no_choice(text, form.changeable_fields, doubtful)
        case "lead" | "invite" | "remove":
            return _is_nobody(first.rest, names)
        case "role" | "take":
            return _is_no_role(first, form, names, doubtful)
        case "page":
            # Pages of web sites fail more often than on-call people are paged.
            return not targets or _is_no_choice(text, targets, doubtful=True)
    return _is_not_its_text(first, text, said, form)


def goes_on_as_a_sentence(text: str) -> bool:
    """True if the word before this text is its subject: *triage* in *triage is never done*."""
    return _begins_with(text, _FINITE | _SUBJECTS)


def _is_not_its_text(first: First, text: str, said: Sequence[str], form: Form) -> bool:
    """True if the text is none that the verb takes."""
    match first.word:
        case "call":
            return len(said) > 1 and "://" not in text and said[0] != "huddle"
        case "triage":
            # It opens the declare form in any case.
            return False
        case "accept":
            is_thing = said[0] in _FINITE | _SUBJECTS | _COMPOUNDS | _PREPOSITIONS
            return not first.set_off and (first.quoted or is_thing)
        case "merge":
            return not _names_another(first.rest)
    return _asks_too_much(first, text, said, form)


def _asks_too_much(first: First, text: str, said: Sequence[str], form: Form) -> bool:
    """True if more text follows than a verb takes that only shows incidents, or needs no text."""
    match first.word:
        case "export":
            return len(said) > 1 and not {"as", *ENDINGS, *ENDINGS.values()}.issuperset(said)
        case "list":
            has_choices = bool(form.severities or form.statuses)
            several = len(said) > 1 or _is_a_beginning(first)
            return has_choices and several and bool(parse_filter(text, form, None)[2])
        case "snooze":
            return (len(said) > 2 or _is_a_beginning(first)) and not _is_a_length(text)
        case "time":
            return _is_no_time(text, said, form)
        case "retro":
            return False
        case "find" | "show":
            return first.quoted or (_is_a_beginning(first) and len(said) > 1)
    return not (_POLITE | ENDING | _TELLING).issuperset(said)


def _is_a_length(text: str) -> bool:
    try:
        parse_snooze(text)
    except Refused:
        return False
    return True


def _is_no_time(text: str, said: Sequence[str], form: Form) -> bool:
    """True if the text neither ends as a time does nor begins with the name of a timestamp."""
    if ":" in said[-1] or said[-1] in _WHEN:
        return False
    times = form.incident_timestamps
    return _is_no_choice(text, times, True) if times else len(said) > 2


def _is_a_beginning(first: First) -> bool:
    """True if the verb is written as a sentence begins: `Close`, but not `close` or `CLOSE`."""
    return first.written[:1].isupper() and not first.written.isupper()


def _is_one_phrase(first: First, said: Sequence[str]) -> bool:
    following = said[0]
    done = _says_it_is_done(said)
    title = _is_a_beginning(first) and len(said) > 1 and not done and following not in _SPEAKING
    is_subject = following in _FINITE or (len(said) > 1 and said[1] in _FINITE)
    troubled = is_subject or not _TROUBLED.isdisjoint(said)
    if first.word not in ENDING:
        is_compound = following in _COMPOUNDS and troubled and not done
        return title or is_compound or following in _SUBJECTS
    if following in _PREPOSITIONS:
        return True
    return title or (not done and (following in _COMPOUNDS or (troubled and following not in _SPEAKING)))


def _says_it_is_done(said: Sequence[str]) -> bool:
    done = not _DONE.isdisjoint(said) or _BACK.search(" ".join(said)) is not None
    return done and _UNDONE.isdisjoint(said)


def _is_no_choice(text: str, choices: Sequence[Choice], doubtful: bool) -> bool:
    """True if the text begins with no choice and is `doubtful`, or goes on like a sentence about a choice."""
    if not choices:
        return False
    try:
        _, rest = match_prefix(text, choices, "choice")
    except Refused:
        return doubtful
    return _begins_with(rest, _FINITE)


def _is_no_role(first: First, form: Form, names: Mapping[str, str], doubtful: bool) -> bool:
    try:
        _, rest = match_prefix(first.rest, form.assignable_roles, "role", role_spellings)
    except Refused:
        return doubtful and "<@" not in first.rest and "@" not in first.rest
    return bool(rest) and first.word == "role" and _is_nobody(rest, names)


def _is_nobody(text: str, names: Mapping[str, str]) -> bool:
    """True if several words are not a person: no mention, no known name, and not capitalised as names are."""
    words = text.split()
    if len(words) < 2 or "@" in text:
        return False
    known = {name.casefold() for name in names.values()}
    return " ".join(words).casefold() not in known and not all(word[:1].isupper() for word in words)


def _names_another(text: str) -> bool:
    """True if the first words name the incident that this one is part of."""
    for before, reference, rest in references_in(text):
        said = [bare(rest[start:end]) for start, end in spans(rest)]
        is_number = reference.said.isdecimal()
        return _INTO.issuperset(before.split()) and not (is_number and len(said) > 1)
    return False


def _begins_with(text: str, words: frozenset[str]) -> bool:
    return any(bare(text[start:end]) in words for start, end in spans(text)[:1])
