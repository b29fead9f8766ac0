"""What people do in Slack by chance: whoever may and whoever may not, on public and private incidents."""

from __future__ import annotations

import asyncio
import json
import math
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import httpx
from support.bot import RunningBot, chosen, dated, radio, ticked, typed
from support.errands import until
from support.patience import LIMIT

from reliability.secrecy.halls import USE, is_offered
from reliability.secrecy.kept import Kept
from reliability.secrecy.looked import ANYBODY, FILTERED, Looked
from reliability.secrecy.troubles import FAULTY, LATE, STALE, TROUBLED
from slack_emulator.composer import rich_text_of
from slack_emulator.faults import Fault
from slack_emulator.models import Channel, Json, Message, Outcome, Person, Refused, View
from slack_emulator.views import elements_of, options_of

PLACES = ("general", "alerts", "incidents")
MEMBERS = ("ana", "ben", "chloe", "darius", "priya")
PEOPLE = (*MEMBERS, "gus")
"""Each does one thing at a time, as people do, and all of them do at once; gus is a guest."""

SOON = 60.0
"""Seconds until something that need not come is waited for no more."""

MEANWHILE = 12
"""So many changes in the workspace are others' turn."""

AT_ONCE = 40
"""Incidents that people are busy with; with more of them no two gestures would meet."""

READS, WRITES = 2, 1

SPY = "U0XSPY0001"
"""One of another organisation, who is let into channels."""

Fields = dict[str, dict[str, Any]]


class People:
    """Gestures, each a method; `done` and `missed` count what they did, and what came too late to be done."""

    def __init__(self, bot: RunningBot, looked: Looked, rng: random.Random, http: httpx.AsyncClient) -> None:
        self.bot = bot
        self.looked = looked
        self.register = looked.register
        self.rng = rng
        self.done: Counter[str] = Counter()
        self.missed: Counter[str] = Counter()
        self._http = http
        self.further: list[Callable[[str], Awaitable[None]]] = []
        """Gestures of members that are written elsewhere."""
        self._desks: dict[str, str] = {}

    async def settle_in(self) -> None:
        """Each has a channel to themselves, and there are incidents to begin with."""
        for name in PEOPLE:
            made = await self.bot.workspace.create_channel(self.id_of("ana"), f"desk-{name}")
            self._desks[name] = made.channel or ""
            if name != "ana":
                await self.bot.workspace.invite(self.id_of("ana"), self._desks[name], self.id_of(name))
        for name in (*MEMBERS, "ana", "ben", "chloe"):
            await self.do(self._declare, name)

    async def anything(self, who: str) -> None:
        await self.do(self._chosen(who), who)

    async def do(self, act: Callable[[str], Awaitable[None]], who: str) -> None:
        self.done[act.__name__.strip("_")] += 1
        if self.rng.random() < FAULTY:
            self._trouble_slack()
        await act(who)
        await self.bot.workspace.dismiss(self.id_of(who), whole_stack=True)

    def _chosen(self, who: str) -> Callable[[str], Awaitable[None]]:
        if self.rng.randrange(READS + WRITES) < READS:
            reads = [self._list, self._find, self._show, self._press, self._press, self._look_home]
            reads += [self._open_forms, self._point_at_message, self._read_pages, self._export]
            return self.rng.choice([*reads, self._post_link, self._open_link, self._document])
        writes = [self._type] * 6 + [self._fill] * 3 + [self._name_lead, self._merge, self._make_private]
        writes += [self._page, self._make_private] * 3 + [
            self._mark,
            self._bring_in,
            self._decide,
            self._expose,
            self._forge,
        ]
        writes += [self._declare, self._declare, *self.further, self._test] * (who in MEMBERS)
        return self.rng.choice(writes)

    # declaring

    async def _declare(self, who: str) -> None:
        await self.declare_in(who, "")

    async def declare_in(self, who: str, hall: str) -> None:
        """In a channel that the incident is to use, or from anywhere."""
        form = await self._declare_form(who, hall)
        if form is None:
            self.missed["form"] += 1
            return
        kept = self.register.add(self.id_of(who), private=not hall and self.to_be_private())
        await self._search_menus(who, form)
        fields: Fields = {
            "name": typed(f"Trouble with {kept.word}"),
            "summary": typed(f"It is about {kept.word}."),
            "severity_id": chosen(self.rng.choice(["minor", "major", "critical"])),
            "custom_field_entries__depot": {**chosen("depot_012", "Depot 012"), "type": "external_select"},
        }
        if kept.born_private:
            fields["visibility"] = ticked("private")
        if '"incident_timestamp_values.fixed"' in json.dumps(form.payload):
            fields["incident_timestamp_values__fixed"] = dated(1_772_000_000)
        elif self.rng.random() < 0.3:
            fields["status"] = radio("triage")
        if hall and await is_offered(self.bot, form):
            fields[USE] = ticked(hall)
        try:
            await self.bot.fill(who, form, **fields)
        except Refused:
            # A form that was asked for earlier has taken its place.
            self.missed["form"] += 1
            return
        if self._went(await self.bot.submit(who, form)):
            await self.in_time("declared", until(self.bot, lambda: kept.id, math.inf))

    async def _declare_form(self, who: str, hall: str) -> View | None:
        """The form, from wherever it may be opened; None where Slack would not open it any more."""
        way = "command" if hall else self.rng.choice(["command", "message", "anywhere"])
        place = hall or self.bot.slack.channel(self.rng.choice(PLACES[:2]))
        workspace = self.bot.workspace
        if way == "command":
            said = "/incident" if hall else self.rng.choice(["/incident", "/incident", "/incident retro"])
            gesture = workspace.command(self.id_of(who), place, said)
        elif way == "anywhere":
            gesture = workspace.global_shortcut(self.id_of(who), "declare")
        else:
            said = await workspace.say(self.id_of(who), place, f"Alert {self.number()}: something is wrong")
            gesture = workspace.message_shortcut(
                self.id_of(who), "declare_from_message", place, said.ts or ""
            )
        await self._answered(who, gesture, place)
        forms = [v for v in workspace.stack(self.id_of(who)) if v.payload.get("callback_id") == "declare"]
        return forms[-1] if forms else None

    async def _search_menus(self, who: str, form: View) -> None:
        """What is suggested in long menus while somebody types."""
        for block, element in elements_of(form.payload["blocks"]):
            if element["type"].endswith("external_select"):
                query = self.rng.choice(["", "depot 1", "secretword", "openword", "INC"])
                found = await self.bot.workspace.suggest(
                    self.id_of(who), form.id, block["block_id"], element["action_id"], query
                )
                self.looked.shown(found.options or [], "options", self.id_of(who))

    # what people change

    async def _type(self, who: str) -> None:
        """A verb with text, in the incident's channel or anywhere, by whoever may and whoever may not."""
        kept = self.one()
        word = self.word(kept, who)
        verb = self.rng.choice(
            [
                f"severity {{}} {self.rng.choice(['minor', 'major', 'critical'])}",
                f"status {{}} {self.rng.choice(['investigating', 'fixing', 'monitoring'])}",
                f"update {{}} News of {word} {self.number()}",
                f"rename {{}} Trouble with {word} {self.number()}",
                f"summary {{}} More of {word} {self.number()}",
                f"call {{}} https://zoom.example.com/{word}/{self.number()}",
                f"note {{}} Seen at {word} {self.number()}",
                f"fields {{}} site {word} {self.number()}",
                f"action {{}} Mend {word}",
                f"follow-up {{}} Say why {word}",
                "snooze {} 2 hours",
                f"close {{}} Because of {word}",
                f"close {{}} Because of {word}",
                "reopen {}",
                f"time {{}} detected {self.rng.randrange(1, 600)} minutes ago",
                "follow {}",
                "catchup {}",
                "take {}",
                f"cancel {{}} Because of {word}",
                f"decline {{}} Because of {word}",
                "status {} triage",
                f"accept {{}} Because of {word}",
            ]
        )
        if verb.startswith("take") and kept.private and self.rng.random() < 0.7:
            verb = "show {}"
        self.trust(kept, who, self.id_of(who))
        await self.type_in(who, verb.format(kept.reference))

    async def _fill(self, who: str) -> None:
        """A verb without text: its form, filled in by chance, and sent once others had their turn."""
        telling = ("update", "note", "close", "rename", "summary", "call", "action", "follow-up")
        verbs = [*telling, "lead", "role", "fields", "times", "snooze", "merge", "status", "page"]
        about = self.rng.choice([self.one().reference, ""])
        await self.type_in(who, f"{self.rng.choice(verbs)} {about}".strip())
        if self.rng.random() < 0.3:
            await self._others_turn()
        await self.fill_what_is_open(who)

    async def _name_lead(self, who: str) -> None:
        """Somebody may know of it from then on; few may ever know of what is private."""
        kept = self.one()
        circle = [MEMBERS[(kept.number + step) % len(MEMBERS)] for step in range(2)]
        whom = self.rng.choice(circle if kept.private else [*PEOPLE])
        self.trust(kept, who, self.id_of(whom))
        role = self.rng.choice(["lead {}", "role {} comms", "invite {}", "remove {}"]).format(kept.reference)
        await self.type_in(who, f"{role} @{whom}")

    async def _make_private(self, who: str) -> None:
        kept = self.one()
        if kept.private or self.rng.random() < 0.5:
            return await self._show(who)
        await self.type_in(who, f"private {kept.reference}")
        await self.fill_what_is_open(who)

    async def _merge(self, who: str) -> None:
        """One into the other: private into public, public into private, and what one may not know of."""
        one, other = self.one(), self.one()
        if self.rng.random() < 0.3:
            await self.type_in(who, f"merge {one.reference}")
            await self.fill_what_is_open(who)
        else:
            await self.type_in(who, f"merge {one.reference} {other.reference}")

    async def _mark(self, who: str) -> None:
        """Something said in an incident's channel, kept in its timeline with a pin or a 📌, and let go."""
        kept, channel = self._own_channel_of(who)
        if kept is None:
            return await self._list(who)
        workspace, person = self.bot.workspace, self.id_of(who)
        said = await workspace.say(person, channel, f"Seen at {self.word(kept, who)} {self.number()}")
        if not said.ok or said.ts is None:
            self.missed["said"] += 1
            return
        marks = self.rng.choice(
            [(workspace.pin, workspace.unpin, ()), (workspace.react, workspace.unreact, ("pushpin",))]
        )
        put, taken, name = marks
        await put(person, channel, said.ts, *name)
        await self._others_turn()
        if self.rng.random() < 0.3:
            await taken(person, channel, said.ts, *name)

    async def _bring_in(self, who: str) -> None:
        """Somebody is let into a private incident's channel by hand; of the incident they know no more."""
        kept, channel = self._own_channel_of(who)
        if kept is None or not kept.private:
            return await self._show(who)
        whom = self.id_of(MEMBERS[(kept.number + 2) % len(MEMBERS)])
        self.looked.brought.add((channel, whom))
        await self.bot.workspace.invite(self.id_of(who), channel, whom)

    async def _page(self, who: str) -> None:
        """Whoever is on call is paged, and reads what they may know of it."""
        kept = self.one()
        await self.type_in(who, f"page {kept.reference} payments Because of {self.word(kept, who)}")
        await self.fill_what_is_open(who)

    async def _decide(self, who: str) -> None:
        """Access is asked for, allowed or declined, where somebody was let in by hand."""
        asked = [one for room in self.rooms(who) for one in self._buttons_in(room, who)]
        asked = [one for one in asked if "access" in one[2]["action_id"]]
        await (self.press_one(who, asked) if asked else self._bring_in(who))

    async def _expose(self, who: str) -> None:
        """An owner makes a private channel public, or lets another organisation in, and puts that right."""
        kept, channel = self._own_channel_of(who)
        if kept is None or not kept.private:
            return await self._show(who)
        room = self.bot.workspace.channel(channel)
        if room.kind != "private" or room.archived:
            return await self._show(who)
        # Nothing is on its way there: what is judged before it becomes public may still arrive.
        await self.bot.app.settled()
        self.looked.sweep()
        spy = Person(SPY, "spy", "Somebody Else", "")
        if self.rng.random() < 0.5:
            room.kind = "public"
        else:
            self.bot.workspace.share(room.id, "T0ELSEWHERE", spy)
        word = self.word(kept, who)
        for verb in self.rng.sample(["update", "note", "action", "rename", "severity critical"], 2):
            await self.type_in(who, f"{verb} {kept.reference} {word} {self.number()}")
        await self.bot.app.settled()
        self.looked.sweep()
        room.kind, room.shared_with = "private", []
        room.members = [member for member in room.members if member != SPY]

    async def _forge(self, who: str) -> None:
        """A press or a form as it was sent, with the ids of other incidents in it."""
        pressed = [
            one.args
            for one in self.bot.workspace.requests
            if one.method in {"block_actions", "view_submission"}
            and (one.args.get("user") or {}).get("id") == self.id_of(who)
        ]
        told = self.register.about(str(pressed))
        if not told:
            return await self._press(who)
        chosen = self.rng.choice(pressed)
        payload = json.dumps(chosen)
        for kept in told:
            payload = payload.replace(kept.id, self.one().id)
        payload = payload.replace('"trigger_id": "', f'"trigger_id": "{self.number()}')
        await self.bot.workspace.delivery.deliver(
            self.bot.slack.app, "interactive", json.loads(payload), chosen["type"]
        )

    def _trouble_slack(self) -> None:
        """One of Slack's next answers is slow, lost, refused or limited; meanwhile an incident is hidden."""
        method, goes_on = self.rng.choice(TROUBLED), asyncio.Event()
        lost = {"status": 500, "after_effect": True}
        kind: Json = self.rng.choice([{}, {"retry_after": 2}, {"status": 500}, lost])
        self.bot.workspace.faults.plan(method, Fault(until=goes_on, **kind))
        asyncio.get_running_loop().call_later(self.rng.uniform(0.0, 20.0), goes_on.set)

    # what people look at

    async def _list(self, who: str) -> None:
        words = self.rng.choice(["", "mine", "closed", "major", "private", "fixing"])
        await self.type_in(who, f"list {words}")

    async def _test(self, who: str) -> None:
        """A test of Tocsin; its incident is private, and what is known of it goes to this person alone."""
        await self.type_in(who, "test")

    async def _find(self, who: str) -> None:
        """The beginning of a word, so that an answer which repeats what was typed is no leak."""
        kept = self.one()
        text = self.rng.choice([kept.secret_word[:-1], kept.open_word[:-1], kept.reference, "trouble"])
        await self.type_in(who, f"find {text}")

    async def _show(self, who: str) -> None:
        """By its reference, or, where one is in a channel of its own, without."""
        await self.type_in(who, self.rng.choice([f"show {self.one().reference}", "show"]))

    async def _export(self, who: str) -> None:
        wanted = self.rng.choice(["", "markdown", "json", "csv"])
        await self.type_in(who, f"export {self.one().reference} {wanted}".strip())

    async def _document(self, who: str) -> None:
        """A canvas, or a file where the workspace has none at the time."""
        state = self.bot.workspace.state
        state.save(replace(state.team, plan="pro" if self.rng.random() < 0.6 else "free"))
        await self.type_in(who, f"document {self.one().reference}")

    async def _press(self, who: str) -> None:
        """A button of what they see: of Home, a list, or a card in a channel, also a stale one."""
        found = [*self._buttons_of_home(who), *self._buttons_in(self.rng.choice(self.rooms(who)), who)]
        if found:
            await self.press_one(who, found)

    async def press_one(self, who: str, found: list[tuple[Json, Json, Json]]) -> None:
        place, block, element = self.rng.choice(found)
        value = None
        if element["type"] == "overflow":
            value = {"selected_option": {"value": self.rng.choice(element["options"])["value"]}}
        for kept in self.register.about(f"{element.get('value')} {value}"):
            self.trust(kept, who, self.id_of(who))
            if element["action_id"] == "allow_access":
                self.trust(kept, who, element["value"].partition(" ")[2])
        press = self.bot.workspace.press(
            self.id_of(who), element["action_id"], block["block_id"], value=value, **place
        )
        if self._went(await press):
            await self._others_turn()
            await self.fill_what_is_open(who)

    async def _look_home(self, who: str) -> None:
        await self.bot.workspace.open_home(self.id_of(who), self.bot.slack.app.app_id)

    async def _open_forms(self, who: str) -> None:
        """What is open is shown on the form, and offered where a verb does not say which one it is about."""
        await self.type_in(
            who, self.rng.choice(["", "status", "update", "merge", "help", "checkout is slow"])
        )

    async def _point_at_message(self, who: str) -> None:
        place = self.bot.slack.channel("general" if who == "gus" else self.rng.choice(PLACES[:2]))
        message = self.rng.choice(self.bot.workspace.history(place, self.id_of(who))[-20:])
        if message.ephemeral_to is None:
            shortcut = self.rng.choice(["add_to_timeline", "declare_from_message"])
            named = {kept.number for _, kept in self.register.named_in(str(vars(message)))}
            if named:
                # What somebody copied to another incident while everybody could read it, is theirs.
                shortcut = "declare_from_message"
            # Their form has the words of the message, which may be taken back a moment later.
            self.looked.pointed_at |= {(self.id_of(who), number) for number in named}
            picked = self.bot.workspace.message_shortcut(self.id_of(who), shortcut, place, message.ts)
            await self._answered(who, picked, place)
            await self.fill_what_is_open(who)

    async def _post_link(self, who: str) -> None:
        """A link to an incident's page; what is shown below it is looked at with every other call."""
        room, kept = self.rng.choice(self.rooms(who)), self.one()
        if kept.permalink:
            kept.linked = True
            await self.bot.workspace.say(self.id_of(who), room.id, f"see {kept.permalink}")
            await self._others_turn()

    async def _open_link(self, who: str) -> None:
        """What is shown below a link, opened."""
        rooms = self.rng.choices(self.rooms(who), k=4)
        seen = [m for room in rooms for m in self.bot.workspace.history(room.id, self.id_of(who))]
        shown = [(m, one["app_unfurl_url"]) for m in seen for one in m.attachments if "entity" in one]
        if not shown:
            return await self._post_link(who)
        message, url = self.rng.choice(shown[-12:])
        with suppress(Refused):
            look = self.bot.workspace.unfurls.open(self.id_of(who), message, url)
            await self.in_time("details", look.answered.wait())
            self.looked.shown([look.shown, look.error], "details", self.id_of(who))
            await self._open_comments(who, message, url)

    async def _open_comments(self, who: str, message: Message, url: str) -> None:
        """The comments below a link, and one more of theirs."""
        look = (here := self.bot.workspace.entity_comments).open(self.id_of(who), message, url)
        await self.in_time("comments", look.answered.wait())
        self.looked.shown([look.comments, look.error], "comments", self.id_of(who))
        if look.can_post:
            await self.in_time("a comment", here.post(look, *rich_text_of("Looking into it.")))
            await self.in_time("its acknowledgement", look.acted[-1].answered.wait())
            self.looked.shown(look.acted[-1].error, "comments", self.id_of(who))

    async def _read_pages(self, who: str) -> None:
        paths = [f"/incidents/{self.one().reference}", "/incidents", *FILTERED]
        paths += ["/insights", "/alerts", "/metrics", "/readyz"]
        path = self.rng.choice(paths)
        asked = self.looked.now()
        # It is read at some moment between these two.
        self.looked.shown((await self._http.get(path)).text, "page", ANYBODY, since=asked)

    # gestures

    async def type_in(self, who: str, text: str) -> None:
        rooms = self.rooms(who)
        room = self._desks[who] if self.rng.random() < 0.7 else self.rng.choice(rooms).id
        line = f"/incident {text}".strip()
        self.looked.typed.add((self.id_of(who), line))
        command = self.bot.workspace.command(self.id_of(who), room, line)
        await self._answered(who, command, room)

    async def _answered(self, who: str, gesture: Awaitable[Outcome], room: str) -> None:
        """Until it is answered: with a form, or with something that they alone can read."""
        before = self._told(who, room)
        if self._went(await gesture):
            stack = self.bot.workspace.stack
            await until(self.bot, lambda: stack(self.id_of(who)) or self._told(who, room) - before, LIMIT)

    def _told(self, who: str, room: str) -> set[str]:
        """All that this person alone was told and can still read, there or in a direct message.

        Not how much it is: while one message comes, another may be taken back.
        """
        state, person = self.bot.workspace.state, self.id_of(who)
        direct = state.find_direct({person, self.bot.slack.app.bot_user_id})
        whispers = {ts for ts, message in state.messages[room].items() if message.ephemeral_to == person}
        return whispers | set(state.messages[direct.id] if direct else ())

    def _went(self, outcome: Outcome) -> bool:
        """Whether the bot has taken it."""
        if not outcome.ok:
            assert outcome.error in LATE | STALE | {"invalid_input", "view_errors"}, outcome
            self.missed[str(outcome.error)] += 1
        return outcome.ok

    async def in_time(self, what: str, coming: Awaitable[Any]) -> None:
        """Until it is there, or too late: what Slack could not deliver to a busy machine it sends later."""
        try:
            async with asyncio.timeout(SOON):
                await coming
        except TimeoutError:
            self.missed[what] += 1

    async def _others_turn(self) -> None:
        """Until the bot is at rest, or others had their turn."""

        async def others() -> None:
            with self.bot.workspace.subscribe() as changes:
                left = MEANWHILE
                async for _ in changes:
                    left -= 1
                    if not left:
                        return

        settled = self.bot.app.resources.tasks.settled()
        either = {asyncio.ensure_future(others()), asyncio.ensure_future(settled)}
        _, pending = await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        for one in pending:
            one.cancel()

    async def fill_what_is_open(self, who: str) -> None:
        """Whatever form is on top, and the one that follows it; a declaration is left alone."""
        for _ in range(2):
            stack = self.bot.workspace.stack(self.id_of(who))
            if not stack or not stack[-1].payload.get("submit"):
                return
            if stack[-1].payload.get("callback_id") == "declare" or not await self._fill_in(who, stack[-1]):
                return

    async def _fill_in(self, who: str, view: View) -> bool:
        about = self.register.about(view.payload.get("private_metadata") or "")
        word = self.word(about[0], who) if about else "nothing of it"
        if about and '"private"' in view.payload["private_metadata"]:
            about[0].hidden_by.add(self.id_of(who))
        for block, element in list(elements_of(view.payload["blocks"])):
            value = self._value(element, word) if block["type"] == "input" else None
            if value is None:
                continue
            if about:
                self.trust(about[0], who, str(value.get("selected_user") or self.id_of(who)))
            with suppress(Refused):
                self.bot.workspace.type_into(
                    self.id_of(who), view.id, block["block_id"], element["action_id"], value
                )
        return self._went(await self.bot.submit(who, view))

    def _value(self, element: Json, word: str) -> Json | None:
        """Something to put into it; None where it is left as it is."""
        kind, needed = element["type"], element["action_id"] in {"merged_into", "incident_id", "target"}
        if kind == "plain_text_input":
            return {"type": kind, "value": f"Told of {word} {self.number()}"}
        if kind == "users_select" and self.rng.random() < 0.2:
            return {"type": kind, "selected_user": self.id_of(self.rng.choice(MEMBERS))}
        if kind == "static_select" and (needed or self.rng.random() < 0.3):
            return {"type": kind, "selected_option": self.rng.choice(options_of(element))}
        if kind == "datetimepicker" and self.rng.random() < 0.3:
            return {"type": kind, "selected_date_time": 1_772_000_000 + self.rng.randrange(100_000)}
        return None

    # by chance

    def to_be_private(self) -> bool:
        """Half of them are; of the first, every other."""
        known = len(self.register.kept)
        return known % 2 == 0 if known < len(PEOPLE) else self.rng.random() < 0.5

    def one(self) -> Kept:
        known = [kept for kept in self.register.kept if kept.id]
        return self.rng.choice(known[-AT_ONCE:])

    def _own_channel_of(self, who: str) -> tuple[Kept | None, str]:
        """An incident in whose own channel this person is."""
        mine = [room.id for room in self.rooms(who)]
        kept = [one for one in self.register.kept if one.channel in mine]
        one = self.rng.choice(kept) if kept else None
        return one, one.channel if one else ""

    def rooms(self, who: str) -> list[Channel]:
        """Where this person is, each desk of another's and each direct message among people apart."""
        direct = {self.id_of(who), self.bot.slack.app.bot_user_id}
        others = {room for name, room in self._desks.items() if name != who}
        mine = self.bot.workspace.channels_for(self.id_of(who))
        return [c for c in mine if c.id not in others and (not c.is_direct or set(c.members) == direct)]

    def _buttons_of_home(self, who: str) -> Iterator[tuple[Json, Json, Json]]:
        home = self.bot.workspace.home(self.id_of(who), self.bot.slack.app.app_id)
        for block, element in elements_of(home.payload["blocks"]) if home else ():
            if element["type"] in {"button", "overflow"}:
                yield {"view_id": home.id if home else ""}, block, element

    def _buttons_in(self, room: Channel, who: str) -> Iterator[tuple[Json, Json, Json]]:
        for message in self.bot.workspace.history(room.id, self.id_of(who))[-30:]:
            if message.app_id == self.bot.slack.app.app_id:
                for block, element in elements_of(message.blocks):
                    if element["type"] in {"button", "overflow"}:
                        yield {"channel": message.channel, "ts": message.ts}, block, element

    def word(self, kept: Kept, who: str) -> str:
        return kept.word if kept.may_know(self.id_of(who)) else "nothing of it"

    def trust(self, kept: Kept, who: str, whom: str) -> None:
        """Who may know of it may let others know of it."""
        if kept.may_know(self.id_of(who)):
            kept.trusted.add(whom)

    def number(self) -> int:
        return self.rng.randrange(1000)

    def id_of(self, name: str) -> str:
        return self.bot.slack.person(name)
