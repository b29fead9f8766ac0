"""What a history says: intents, the answers people read, incidents and their posts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, get_args

from reliability.history.deeds import Deed
from reliability.history.history import Exchange, History, Press

Json = dict[str, Any]
Said = Literal["declared", "already", "saved", "refused", "not saved", "unanswered", "cut off"]

WORD = re.compile(r"\w+")
"""Among them the token: it stands alone in a name, whatever else is in it."""

REFERENCE = re.compile(r"\b[A-Z]{2,}-[1-9][0-9]*\b")


@dataclass(frozen=True)
class Answer:
    """What somebody was told of their declaration: in the window, or as its acknowledgement."""

    said: Said
    reference: str = ""
    text: str = ""


@dataclass
class Intent:
    """Everything that was pressed and answered in one form; the form's id is what makes it one intent."""

    press: Press
    answers: list[Answer] = field(default_factory=list)
    later: list[Answer] = field(default_factory=list)
    """What the window said after it had been answered."""
    states: list[Json] = field(default_factory=list)
    """What was in the form at each press."""

    @property
    def token(self) -> str:
        return self.press.token

    @property
    def state(self) -> Json:
        return self.states[-1] if self.states else {}

    @property
    def is_private(self) -> bool:
        """Whether it was declared private from the first press on; that one may have been taken."""
        return all("private" in json.dumps(state.get("visibility") or {}) for state in self.states)

    @property
    def wants_private(self) -> bool:
        return "private" in json.dumps(self.state.get("visibility") or {})

    @property
    def is_test(self) -> bool:
        return '"test"' in json.dumps(self.state.get("mode") or {})

    @property
    def wants_channel(self) -> str:
        """The channel that was there and is to be the incident's own; empty where it gets a new one."""
        ticked = (self.state.get("slack_channel_id") or {}).get("slack_channel_id") or {}
        return next((str(option["value"]) for option in ticked.get("selected_options") or ()), "")

    @property
    def insiders(self) -> set[str]:
        """The reporter and everybody who was given a role in the form; an earlier press may come again."""
        chosen = {
            element["selected_user"]
            for state in self.states
            for block, elements in state.items()
            if block.startswith("incident_role_assignments.")
            for element in elements.values()
            if element.get("selected_user")
        }
        return {self.press.person} | chosen

    def was_told(self, *said: Said) -> bool:
        return any(answer.said in said for answer in (*self.answers, *self.later))

    @property
    def references(self) -> set[str]:
        """Every reference this person read as that of their own incident."""
        told = (a.reference for a in (*self.answers, *self.later) if a.said == "declared")
        # A workflow is told nothing of what is private.
        return set(filter(None, told))


@dataclass
class Kept:
    """An incident as the backend keeps it."""

    row: Json
    roles: list[Json]
    timeline: list[Json]
    follow_ups: list[Json] = field(default_factory=list)

    @property
    def reference(self) -> str:
        return str(self.row["reference"])

    @property
    def channel(self) -> str:
        return str(self.row["slack_channel_id"] or "")

    @property
    def is_private(self) -> bool:
        return bool(self.row["visibility"] != "public")

    @property
    def is_retrospective(self) -> bool:
        return bool(self.row.get("mode") == "retrospective")

    @property
    def people(self) -> set[str]:
        holders = {role["assignee_slack_user_id"] for role in self.roles}
        return {person for person in holders | {self.row["creator_slack_user_id"]} if person}


def answer_of(view: Json) -> Answer | None:
    """What a window says of a declaration; None for a form, or for anything else."""
    title, text = str((view.get("title") or {}).get("text")), json.dumps(view, ensure_ascii=False)
    if REFERENCE.fullmatch(title):
        return Answer("declared", title, text)
    if title == "Already declared":
        named = REFERENCE.search(text)
        return Answer("already", named[0] if named else "", text)
    if title == "Saved":
        return Answer("saved", text=text)
    if title in {"Not declared", "Not now"}:
        return Answer("refused", text=text)
    if (view.get("submit") or {}).get("text") == "Declare all the same":
        return Answer("not saved", text=text)
    return None


SELF_TEST, SELF_TEST_CHANNEL = "Test of Tocsin", "test-of-tocsin"


class Evidence:
    """A history, read once."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.channels = {channel["id"]: channel for channel in history.channels}
        self._told_in_person: dict[str, list[str]] = {}

    @cached_property
    def kept(self) -> list[Kept]:
        """The incidents that people declared."""
        return [kept for kept in self._rows if kept.row["name"] != SELF_TEST]

    @cached_property
    def tests(self) -> list[Kept]:
        """The incidents of tests of Tocsin itself."""
        return [kept for kept in self._rows if kept.row["name"] == SELF_TEST]

    @cached_property
    def _rows(self) -> list[Kept]:
        tables = self.history.tables
        roles = _by_incident(tables["incident_role_assignments"])
        timelines = _by_incident(tables["incident_timeline_items"])
        to_do = _by_incident(tables.get("follow_ups", []))
        return [
            Kept(*(row, roles.get(row["id"], []), timelines.get(row["id"], []), to_do.get(row["id"], [])))
            for row in tables["incidents"]
        ]

    def is_called(self, kept: Kept, token: str) -> bool:
        return token in WORD.findall(kept.row["name"])

    def deeds_of(self, kept: Kept) -> list[Deed]:
        """What was done to it, in the order in which it was answered."""
        return [deed for deed in self.history.deeds if self.is_called(kept, deed.incident)]

    def channels_of(self, kept: Kept) -> set[str]:
        """Its own channel, and those that were."""
        were = {
            row["channel"]
            for row in self.history.tables.get("tocsin_channels", [])
            if row["incident_id"] == kept.row["id"]
        }
        return {kept.channel, self.used_by(kept)} - {""} | were

    def used_by(self, kept: Kept) -> str:
        """The channel that was there before it and that it uses, or used; empty where there is none."""
        intent = self.intent_of(kept)
        uses = any(deed.verb == "use" for deed in self.deeds_of(kept))
        return intent.wants_channel if intent is not None and uses else ""

    def has_left(self, kept: Kept) -> bool:
        """Whether another incident uses the channel now that it used."""
        return any(deed.verb == "leave" for deed in self.deeds_of(kept))

    def was_hidden(self, kept: Kept) -> bool:
        """Whether it was made private after it had been declared."""
        return kept.is_private and any(deed.verb == "private" for deed in self.deeds_of(kept))

    @cached_property
    def intents(self) -> list[Intent]:
        found: dict[str, Intent] = {}
        for press in self.history.presses:
            found.setdefault(press.view_id, Intent(press))
        for exchange in self.history.exchanges:
            view_id = _view_of(exchange)
            if view_id not in found:
                continue
            if exchange.method == STEP:
                found[view_id].states.append(_chosen_in(exchange))
                # What was not acknowledged comes again.
                found[view_id].answers.append(Answer("saved" if exchange.ok else "cut off"))
            elif exchange.method == "view_submission":
                found[view_id].states.append(exchange.args["view"]["state"]["values"])
                found[view_id].answers.append(self._acknowledged(exchange))
            elif exchange.method == "views.update" and exchange.ok:
                said = answer_of(exchange.args.get("view") or {})
                found[view_id].later += [said] if said else []
        self._hear_clients(found)
        for run in self.history.steps:
            if run["id"] in found and run["state"] != "running":
                found[run["id"]].later.append(_answered(run))
        return [intent for intent in found.values() if intent.answers]

    def _hear_clients(self, found: dict[str, Intent]) -> None:
        for one in self.history.answered:
            if one.view_id in found:
                said = one.said if one.said in get_args(Said) else "cut off"
                found[one.view_id].states.append(one.state)
                found[one.view_id].answers.append(Answer(said, one.reference))

    def _acknowledged(self, exchange: Exchange) -> Answer:
        response = exchange.response or {}
        if not exchange.ok:
            ended = exchange.at + (exchange.took or 0.0)
            killed = any(at <= ended for at in self.history.kills)
            return Answer("cut off" if killed else "unanswered", text=exchange.error or "")
        if response.get("response_action") == "errors":
            text = " ".join(map(str, response["errors"].values()))
            return Answer("not saved" if text.startswith("Not saved yet") else "refused", text=text)
        return answer_of(response.get("view") or {}) or Answer("unanswered", text=json.dumps(response))

    def incidents_of(self, intent: Intent) -> list[Kept]:
        return self._by_token.get(intent.token, [])

    def intent_of(self, kept: Kept) -> Intent | None:
        return next(filter(None, map(self._by_word.get, WORD.findall(kept.row["name"]))), None)

    @cached_property
    def _by_word(self) -> dict[str, Intent]:
        found: dict[str, Intent] = {}
        for intent in self.intents:
            found.setdefault(intent.token, intent)
        return found

    @cached_property
    def _by_token(self) -> dict[str, list[Kept]]:
        found: dict[str, list[Kept]] = {}
        for kept in self.kept:
            for word in set(WORD.findall(kept.row["name"])):
                found.setdefault(word, []).append(kept)
        return found

    @cached_property
    def posts(self) -> list[Json]:
        """Every message by the bot, oldest first."""
        mine = [m for m in self.history.messages if m["user"] == self.history.bot and not m["deleted"]]
        return sorted((m for m in mine if not m["subtype"]), key=lambda m: str(m["ts"]))

    def posts_with(self, token: str) -> list[Json]:
        """Those in whose text this word stands."""
        return self._posts_by_word.get(token, [])

    @cached_property
    def _posts_by_word(self) -> dict[str, list[Json]]:
        found: dict[str, list[Json]] = {}
        for post in self.posts:
            for word in set(WORD.findall(str(post["text"]))):
                found.setdefault(word, []).append(post)
        return found

    def cards_of(self, kept: Kept) -> list[Json]:
        """Messages that show this incident: by their text, whatever they say of themselves in metadata."""
        return self._by_reference.get(kept.reference, [])

    @cached_property
    def _by_reference(self) -> dict[str, list[Json]]:
        found: dict[str, list[Json]] = {}
        for message in self.posts:
            reference, colon, shown = str(message["text"]).partition(": ")
            # A sentence about a change begins in the same way, and has none of a card's parts.
            if colon and " · " in shown and not message["ephemeral_to"]:
                found.setdefault(reference, []).append(message)
        return found

    def told_of_public(self, intent: Intent) -> bool:
        """Whether who ticked private too late was told that it is public."""
        return any("is public" in text for text in self.told_in_person(intent.press.person))

    def told_in_person(self, person: str) -> list[str]:
        """The bot's own words to one person: direct messages that are no cards, and ephemeral messages."""
        if person not in self._told_in_person:
            self._told_in_person[person] = self._told(person)
        return self._told_in_person[person]

    def _told(self, person: str) -> list[str]:
        rooms = {c["id"] for c in self.channels.values() if c["kind"] == "im" and person in c["members"]}
        return [
            str(m["text"])
            for m in self.posts
            if (m["channel"] in rooms and not _is_card(m)) or m["ephemeral_to"] == person
        ]

    @cached_property
    def own_channels(self) -> list[Json]:
        """Channels that the bot made for incidents that people declared."""
        return [c for c in self._made if SELF_TEST_CHANNEL not in c["name"]]

    @cached_property
    def test_channels(self) -> list[Json]:
        return [c for c in self._made if SELF_TEST_CHANNEL in c["name"]]

    @cached_property
    def _made(self) -> list[Json]:
        return [c for c in self.channels.values() if c["creator"] == self.history.bot and c["kind"] in ROOMS]

    def window(self, view_id: str) -> Json | None:
        return next((w["payload"] for w in self.history.windows if w["id"] == view_id), None)

    def shown(self) -> Iterator[tuple[str, Json]]:
        """Every view that was put before somebody: who, and the view."""
        owners = self._owners
        for exchange in self.history.exchanges:
            view: Any = None
            if exchange.method in {"views.open", "views.push", "views.update"} and exchange.ok:
                view = exchange.args.get("view")
            elif exchange.method == "view_submission" and exchange.ok:
                view = (exchange.response or {}).get("view")
            elif exchange.method == "views.publish" and exchange.ok:
                yield str(exchange.args.get("user_id")), exchange.args.get("view") or {}
            if isinstance(view, dict):
                yield owners.get(_view_of(exchange) or "", ""), view

    @cached_property
    def _owners(self) -> dict[str, str]:
        """Whose each view is: by the trigger it was opened with, and by who acted in it."""
        owners: dict[str, str] = {}
        triggers: dict[str, str] = {}
        for exchange in self.history.exchanges:
            args, view_id = exchange.args, _view_of(exchange)
            person = (
                str(args.get("user_id") or (args.get("user") or {}).get("id") or "")
                if isinstance(args.get("user") or {}, dict)
                else ""
            )
            if exchange.direction == "delivery":
                triggers[str(args.get("trigger_id"))] = person
                if view_id:
                    owners[view_id] = person
            elif exchange.method in {"views.open", "views.push"} and view_id:
                owners[view_id] = triggers.get(str(args.get("trigger_id")), "")
        return owners


def _by_incident(rows: list[Json]) -> dict[str, list[Json]]:
    found: dict[str, list[Json]] = {}
    for row in rows:
        found.setdefault(row["incident_id"], []).append(row)
    return found


ROOMS = frozenset({"public", "private"})
STEP = "event.function_executed"


def _chosen_in(exchange: Exchange) -> Json:
    """What a workflow gave its step, as it would stand in a form."""
    private = exchange.args["event"]["inputs"].get("private") is True
    return {"visibility": {"visibility": {"value": "private"}}} if private else {}


def _answered(run: Json) -> Answer:
    if run["state"] == "failed":
        return Answer("refused", text=str(run["error"]))
    return Answer("declared", str(run["outputs"].get("reference") or ""), str(run["outputs"]))


def _view_of(exchange: Exchange) -> str | None:
    """The id of the view an exchange is about."""
    args, answered = exchange.args, (exchange.response or {}).get("view")
    if exchange.method == STEP:
        found = {"id": args["event"]["function_execution_id"]}
    elif exchange.direction == "delivery":
        found = args.get("view")
    elif exchange.method.startswith("views."):
        found = {"id": args["view_id"]} if args.get("view_id") else answered
    else:
        return None
    return str(found["id"]) if isinstance(found, dict) and found.get("id") else None


def _is_card(message: Json) -> bool:
    """Whether a post is an incident's card; a refusal with its button is not."""
    return bool(message["blocks"]) and not str(message["text"]).startswith(":warning:")
