"""What workflows of Workflow Builder do by chance, for whoever set them up."""

from __future__ import annotations

from reliability.secrecy.gestures import MEMBERS, People
from reliability.secrecy.looked import ANYBODY
from slack_emulator.models import Json

STEP_PLACES = ("general", "alerts", "leads")
"""Where a workflow's step wants its card; of #leads few are members."""


class Workflows:
    """Gestures, each a method. What a step is answered is looked at as if anybody had read it."""

    def __init__(self, people: People) -> None:
        self._people = people
        self._bot = people.bot
        self._rng = people.rng
        people.further += [self.declare_step] + [self.change_step] * 4

    async def declare_step(self, who: str) -> None:
        """A workflow declares for this person; what it is answered, its next steps may post."""
        kept = self._people.register.add(self._people.id_of(who), private=self._people.to_be_private())
        inputs: Json = {
            "name": f"Trouble with {kept.word}",
            "summary": f"It is about {kept.word}.",
            "reporter": self._people.id_of(who),
            "severity": "major",
            "fields": "Depot: Depot 012",
            "private": kept.born_private,
        }
        # Workflow Builder would not let a person stand for a channel; a webhook's variable may.
        places = [*map(self._bot.slack.channel, STEP_PLACES), self._people.id_of("ben")]
        run = self._bot.workspace.steps.begin(
            self._bot.slack.app, "declare_incident", inputs, variables={"channel": self._rng.choice(places)}
        )
        await self._people.in_time("step", run.ended.wait())
        self._people.looked.shown([run.outputs, run.error], "workflow", ANYBODY)

    async def change_step(self, who: str) -> None:
        """A workflow updates or closes an incident, also one that its author may not know of."""
        people, rng = self._people, self._rng
        kept, step = people.one(), rng.choice(["update_incident", "update_incident", "close_incident"])
        word = people.word(kept, who)
        inputs: Json = {
            "incident": rng.choice([kept.reference, kept.permalink]),
            "person": people.id_of(who),
            "message": f"News of {word} {people.number()}",
        }
        more: Json = {"fields": f"Site: {word}"} if rng.random() < 0.3 else {}
        if step == "update_incident":
            whom = people.id_of(rng.choice(MEMBERS))
            people.trust(kept, who, whom)
            more |= rng.choice([{}, {"status": "monitoring"}, {"severity": "critical"}, {"lead": whom}])
        run = self._bot.workspace.steps.begin(self._bot.slack.app, step, inputs, variables=more)
        await people.in_time("step", run.ended.wait())
        people.looked.shown([run.outputs, run.error], "workflow", ANYBODY)
