"""What may happen, in any order; the model knows who filled in which form and what they may rely on."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.errors import StopTest
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from support.bot import chosen, picked, submitted, ticked, typed

from reliability.history.checker import violations
from reliability.history.evidence import answer_of
from reliability.history.history import Press
from reliability.stateful.programs import Programs
from reliability.stateful.scene import Scene
from slack_emulator.faults import Fault
from slack_emulator.models import Message, Outcome, Request, View
from tocsin.incidents.channel_names import channel_name

REPEATED = re.compile(r"said \d+ times.*(could not be opened|unopened)")
PEOPLE = st.sampled_from(("ana", "ben", "chloe", "darius"))
CHANNELS = st.sampled_from(("general", "alerts", "haulpartner"))
WHICH = st.integers(0, 5)
MOST_DECLARED = 5
"""Declarations in one example: what is rare is what happens between them."""

METHODS = (
    "conversations.create", "conversations.setTopic", "conversations.setPurpose", "conversations.invite",
    "bookmarks.add", "chat.postMessage", "pins.add", "views.update", "views.open",
    "conversations.history", "users.conversations",
)  # fmt: skip
REFUSED = {
    "conversations.create": "restricted_action",
    "conversations.setTopic": "too_long",
    "conversations.setPurpose": "restricted_action",
    "bookmarks.add": "too_many_bookmarks",
    "pins.add": "too_many_pins",
    "views.open": "internal_error",
}
FAULTS: dict[str, Callable[[], Fault]] = {
    "limited": lambda: Fault(retry_after=1),
    "broken before": lambda: Fault(status=503),
    "broken after": lambda: Fault(status=500, after_effect=True),
    "cut off": lambda: Fault(reset=True),
    "cut off after": lambda: Fault(reset=True, after_effect=True),
}


@dataclass
class Filled:
    """A form as the model knows it."""

    view: View
    token: str
    another: bool = False
    origin: str | None = None
    message: tuple[str, str] | None = None
    is_private: bool = False
    submitted: bool = False

    @property
    def press(self) -> Press:
        return Press(
            self.view.id, self.view.user, self.token, self.origin, self.message, self.another, (self.secret,)
        )

    @property
    def title(self) -> str:
        return f"Checkout is slow {self.token} <!here>"

    @property
    def secret(self) -> str:
        return f"whispered{self.token}"


class People(RuleBasedStateMachine):
    """Rules for whatever scene is set; each example begins with nothing.

    What may happen next depends on nothing but what was drawn, since answers come when they come: a rule
    that finds nothing to act on does nothing.
    """

    scene: ClassVar[Scene]
    wrong: ClassVar[list[str]] = []
    """Everything that was found, also what does not come again when hypothesis tries the same once more."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: dict[str, Filled] = {}
        self.messages: list[Message] = []
        self.counted = 0
        self.strangers: set[str | None] = set()
        """Channels that are none of the bot's."""
        self.programs = Programs(self.scene)
        self.begin()

    def begin(self) -> None:
        raise NotImplementedError

    async def quiet(self) -> None:
        raise NotImplementedError

    @property
    def workspace(self) -> Any:
        return self.scene.workspace

    # who opens a form

    @rule(person=PEOPLE, channel=CHANNELS, text=st.sampled_from(("", "checkout is slow", "hlep")))
    def type_the_command(self, person: str, channel: str, text: str) -> None:
        who, room = self.scene.slack.person(person), self.scene.slack.channel(channel)
        self._open(who, self.workspace.command(who, room, f"/incident {text}"), origin=room)

    @rule(person=PEOPLE)
    def pick_the_shortcut(self, person: str) -> None:
        who = self.scene.slack.person(person)
        self._open(who, self.workspace.global_shortcut(who, "declare"))

    @rule(channel=CHANNELS)
    def say_something(self, channel: str) -> None:
        room = self.scene.slack.channel(channel)
        who = self.scene.slack.person("ana")
        said = self.scene.run(self.workspace.say(who, room, "p99 is *above* <4 s> in eu-west"))
        self.messages.append(self.workspace.message(room, said.ts))

    @precondition(lambda self: self.messages)
    @rule(person=PEOPLE, which=WHICH)
    def pick_a_message(self, person: str, which: int) -> None:
        message = self.messages[which % len(self.messages)]
        who, where = self.scene.slack.person(person), (message.channel, message.ts)
        doing = self.workspace.message_shortcut(who, "declare_from_message", *where)
        self._open(who, doing, origin=message.channel, message=where)

    def _open(self, person: str, doing: Awaitable[Outcome], **where: Any) -> None:
        before = {view.id for view in self.workspace.stack(person)}
        self.scene.run(self.scene.opening(doing))
        for view in self.workspace.stack(person):
            if view.id not in before:
                self.forms[view.id] = Filled(view, self._token(), **where)

    # who fills it in and submits it

    def _open_forms(self) -> list[Filled]:
        """Forms that can be submitted, or were not yet understood to be no form."""
        return [f for f in self.forms.values() if f.view in self.workspace.stack(f.view.user)]

    def _unsent(self) -> list[Filled]:
        return [f for f in self._open_forms() if f.view.payload.get("submit")]

    def _form(self, which: int) -> Filled | None:
        """One that was never submitted; where there is none, somebody types the command first.

        What was submitted once stands, also when it is changed and submitted again after a lost answer.
        """
        if all(form.submitted for form in self._unsent()):
            self.type_the_command("ana", "general", "")
        forms = [form for form in self._unsent() if not form.submitted]
        return forms[which % len(forms)] if forms else None

    def _to_declare(self, which: int) -> Filled | None:
        """A form to submit, while not enough was declared in this example."""
        return None if self._enough() else self._form(which)

    def _enough(self) -> bool:
        programs = len(self.programs.asked) + len(self.programs.groups)
        return programs + sum(f.submitted for f in self.forms.values()) >= MOST_DECLARED

    def _token(self) -> str:
        self.counted += 1
        return f"zq{self.counted:04d}x"

    def _offering(self, button: str) -> list[Filled]:
        return [f for f in self._open_forms() if f"'{button}'" in str(f.view.payload["blocks"])]

    @rule(which=WHICH, private=st.booleans(), led=st.booleans(), times=st.sampled_from((1, 1, 1, 2, 3)))
    def declare(self, which: int, private: bool, led: bool, times: int) -> None:
        if (form := self._to_declare(which)) is None:
            return
        self._fill(form, private=private, led=led)
        self._submit(form, times)

    @rule(which=WHICH, name=st.sampled_from(("\u200b", "n" * 201)))
    def declare_it_wrong(self, which: int, name: str) -> None:
        """A name that nobody can see, or that is too long, is put right later or never."""
        forms = [f for f in self._unsent() if not f.submitted]
        if not forms:
            return
        form = forms[which % len(forms)]
        self._type(form, name=typed(name), severity_id=chosen("minor"))
        outcome = self.scene.run(self.scene.gesture(self.workspace.submit(form.view.user, form.view.id)))
        assert not outcome.ok

    def _fill(self, form: Filled, *, private: bool, led: bool) -> None:
        form.is_private = private
        fields: dict[str, Any] = {
            "name": typed(form.title),
            "summary": typed(f"{form.secret} <@U0123456789>"),
            "severity_id": chosen("major"),
            "visibility": ticked("private") if private else {"type": "checkboxes", "selected_options": []},
        }
        if led:
            fields["incident_role_assignments.lead"] = picked(self.scene.slack.person("ben"))
        self._type(form, **fields)

    def _type(self, form: Filled, **fields: dict[str, Any]) -> None:
        for name, value in fields.items():
            self.workspace.type_into(form.view.user, form.view.id, name, name, value)

    def _submit(self, form: Filled, times: int) -> None:
        form.submitted = True
        who, view = form.view.user, form.view.id

        async def together() -> None:
            presses = (self.scene.gesture(submitted(self.workspace, who, view)) for _ in range(times))
            await asyncio.gather(*presses)

        self.scene.run(together())

    @rule(which=WHICH)
    def press_declare_again(self, which: int) -> None:
        forms = [f for f in self._unsent() if f.submitted]
        if forms:
            self._submit(forms[which % len(forms)], 1)

    @rule(which=WHICH)
    def press_declare_another(self, which: int) -> None:
        """On a message that has an incident; what was typed is kept, and it is one of its own."""
        offered = self._offering("declare_another")
        if offered:
            form = offered[which % len(offered)]
            form.another = True
            self._press(form, "declare_another", "already")

    @rule(which=WHICH)
    def press_more_fields(self, which: int) -> None:
        offered = self._offering("more_fields")
        if offered:
            self._press(offered[which % len(offered)], "more_fields", "more_fields")

    def _press(self, form: Filled, action: str, block: str) -> None:
        async def pressed() -> None:
            before = sum(r.method == "views.update" for r in self.workspace.requests)
            doing = self.workspace.press(form.view.user, action, block, view_id=form.view.id)
            if (await self.scene.gesture(doing)).ok:
                await self.scene.tried("views.update", before + 1)

        self.scene.run(pressed())

    @rule(person=PEOPLE)
    def close_the_form(self, person: str) -> None:
        self.scene.run(self.workspace.dismiss(self.scene.slack.person(person)))

    # what programs ask for

    @rule(private=st.booleans(), times=st.sampled_from((1, 1, 2)))
    def a_client_declares(self, private: bool, times: int) -> None:
        if not self._enough():
            self.scene.run(self.programs.declare(self._token(), private=private, times=times))

    @rule(which=WHICH)
    def a_client_asks_again(self, which: int) -> None:
        self.scene.run(self.programs.ask_again(which))

    @rule(which=WHICH, times=st.sampled_from((1, 1, 2)))
    def a_client_updates(self, which: int, times: int) -> None:
        self.scene.run(self.programs.update(which, times=times))

    @rule(which=WHICH, begins=st.booleans())
    def an_alert_comes(self, which: int, begins: bool) -> None:
        """One more of a group that there is, or the first of another."""
        groups = list(self.programs.groups)
        if groups and not begins:
            self.scene.run(self.programs.alert(groups[which % len(groups)]))
        elif not self._enough():
            self.scene.run(self.programs.alert(self._token()))

    # what goes wrong on the wire

    @rule(which=st.integers(0, 30), times=st.integers(2, 20), apart=st.booleans())
    def deliver_again(self, which: int, times: int, apart: bool) -> None:
        """The same payload comes again, many times at once or one after the other."""
        came = [r for r in self.workspace.requests if r.direction == "delivery" and not r.retry_attempt]
        if not came:
            return
        again = came[which % len(came)]

        async def deliver() -> None:
            if apart:
                for _ in range(min(times, 4)):
                    await self._delivered(again)
            else:
                await asyncio.gather(*(self._delivered(again) for _ in range(times)))

        self.scene.run(deliver())

    async def _delivered(self, again: Request) -> Outcome:
        kind: Any = "slash_commands" if again.method == "slash_commands" else "interactive"
        delivering = self.workspace.delivery.deliver(
            self.scene.slack.app, kind, again.args, again.method, retry=1, reason="timeout"
        )

        async def outcome() -> Outcome:
            return Outcome((await delivering).ok)

        return await self.scene.gesture(outcome())

    @rule(method=st.sampled_from(METHODS), how=st.sampled_from(sorted(FAULTS)), times=st.integers(1, 3))
    def slack_fails(self, method: str, how: str, times: int) -> None:
        self.scene.fail(method, [FAULTS[how]() for _ in range(times)])

    @rule(method=st.sampled_from(sorted(REFUSED)))
    def slack_refuses(self, method: str) -> None:
        self.scene.fail(method, [Fault(error=REFUSED[method])])

    @rule()
    def slack_recovers(self) -> None:
        self.scene.recover()

    @rule(which=WHICH)
    def somebody_takes_the_name(self, which: int) -> None:
        """A stranger makes a channel with the name that the next incident's would have."""
        forms = [f for f in self._open_forms() if not f.submitted]
        if not forms:
            return
        number = len(self.scene.kept()) + 1
        name = channel_name(f"INC-{number}", forms[which % len(forms)].title)
        made = self.scene.run(self.workspace.create_channel(self.scene.slack.person("ben"), name))
        self.strangers.add(made.channel)

    # what must be true at any time

    @invariant()
    def nothing_is_wrong_so_far(self) -> None:
        kept = self.scene.kept()
        _without_gaps_and_one_for_each_key(kept)
        names = {row["reference"]: row["name"] for row in kept}
        for form in self._open_forms():
            said = answer_of(form.view.payload)
            if said is not None and said.said == "declared":
                assert form.token in names.get(said.reference, ""), (form.token, said.reference, names)
        self._nobody_outside_reads_of_a_private_one()

    def _nobody_outside_reads_of_a_private_one(self) -> None:
        words = [w for f in self.forms.values() if f.is_private and f.submitted for w in (f.token, f.secret)]
        words += [one.token for one in self.programs.asked if one.is_private]
        if not words:
            return
        for room in self.workspace.state.channels.values():
            if room.kind == "public" and room.id not in self.strangers:
                said = [str((m.text, m.blocks)) for m in self.workspace.state.lasting(room.id)]
                text = " ".join([room.name, room.topic, room.purpose, *said])
                assert not any(word in text for word in words), room.name

    def teardown(self) -> None:
        """Slack is well, everything has come to its end, and the whole history is judged."""
        if (error := sys.exc_info()[1]) is not None and not isinstance(error, StopTest):
            self.wrong.append(repr(error))
        self.scene.run(self.quiet())
        presses = [*(form.press for form in self.forms.values()), *self.programs.presses()]
        history = self.scene.history(presses, self.programs.answers(), self.programs.deeds)
        # Who asks for a form that does not come is told so each time.
        found = [v for v in violations(history) if not REPEATED.search(v.sentence)]
        wrong = [*map(str, found), *self.programs.lost_or_doubled(), *self.scene.failures]
        self.wrong.extend(wrong)
        assert not wrong, "\n".join(wrong)


def _without_gaps_and_one_for_each_key(kept: Sequence[Mapping[str, Any]]) -> None:
    assert [row["reference"] for row in kept] == [f"INC-{n + 1}" for n in range(len(kept))]
    assert len({row["idempotency_key"] for row in kept}) == len(kept)
    tokens = {found[0] for row in kept if (found := re.search(r"zq\d{4}x", row["name"]))}
    assert len(tokens) == len(kept), [row["name"] for row in kept]
