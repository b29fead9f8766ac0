"""What a hosted backend asks of its own: shown, searched, checked and kept, also while it cannot be asked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from support.asking_backend import AskingBackend
from support.bot import RunningBot, chosen, running_bot
from support.readings import block_ids, pressed, settled, words
from support.slack import running_workspace

from slack_emulator.manifest import Manifest
from slack_emulator.models import View
from tocsin.incidents.errors import Refused
from tocsin.slack import routes
from tocsin.workflows.ports import loop_time

PARTS, TEAM = "applies_to_parts", "custom_field_entries.team"


@asynccontextmanager
async def asking(folder: Path, **more: Any) -> AsyncIterator[tuple[RunningBot, AskingBackend]]:
    backends: list[AskingBackend] = []

    def behind(real: Any) -> AskingBackend:
        backends.append(AskingBackend(real))
        backends[0].down = bool(more.get("down"))
        return backends[0]

    async with running_bot(folder, more.get("slack"), behind) as bot:
        yield bot, backends[0]


def picked(*parts: int) -> dict[str, Any]:
    options = [chosen(f"part-{n}", f"Part {n}")["selected_option"] for n in parts]
    return {"type": "multi_external_select", "selected_options": options}


async def opened(bot: RunningBot) -> View:
    return await bot.type_command("ana", "general", "/incident checkout is slow")


async def found(bot: RunningBot, view: View, field: str, text: str) -> list[str]:
    outcome = await bot.workspace.suggest(bot.slack.person("ana"), view.id, field, field, text)
    assert outcome.ok, outcome
    return [option["text"]["text"] for option in outcome.options or []]


async def test_the_backends_own_fields_have_their_own_names_and_needed_ones_are_seen_first(
    tmp_path: Path,
) -> None:
    async with asking(tmp_path) as (bot, _):
        view = await opened(bot)
        assert PARTS in block_ids(view)
        assert "impact" not in block_ids(view)
        await pressed(bot, view, "more_fields", "more_fields")
        assert {PARTS, "impact", TEAM} <= set(block_ids(view))
        assert "Keeper has no private incidents." in words(view)


async def test_a_searched_field_shows_what_the_backend_finds_a_hundred_at_most(tmp_path: Path) -> None:
    async with asking(tmp_path) as (bot, _):
        view = await opened(bot)
        assert await found(bot, view, PARTS, "part 49") == [
            "Part 49",
            *(f"Part {n}" for n in range(490, 500)),
        ]
        assert len(await found(bot, view, PARTS, "")) == 100


async def test_a_backend_that_finds_nothing_in_time_leaves_the_menu_empty_and_the_form_open(
    tmp_path: Path,
) -> None:
    async with asking(tmp_path) as (bot, backend):
        view = await opened(bot)
        backend.silent = True
        began = loop_time()
        assert await found(bot, view, PARTS, "part") == []
        assert loop_time() - began < 2.9


async def test_the_backend_hears_what_is_chosen_in_the_forms_other_fields(tmp_path: Path) -> None:
    async with asking(tmp_path) as (bot, backend):
        view = await opened(bot)
        await bot.fill("ana", view, severity_id=chosen("major"), applies_to_parts=picked(7))
        await pressed(bot, view, "more_fields", "more_fields")
        await found(bot, view, TEAM, "check")
        team = {"type": "external_select", **{"selected_option": chosen("c1", "Checkout")["selected_option"]}}
        await bot.fill("ana", view, custom_field_entries__team=team)
        await found(bot, view, PARTS, "part")
        assert backend.beside[-2:] == [{}, {"team": ("c1",)}]


async def test_what_was_found_is_declared_with_its_name_and_survives_more_fields(tmp_path: Path) -> None:
    async with asking(tmp_path) as (bot, backend):
        view = await opened(bot)
        await bot.fill("ana", view, severity_id=chosen("major"), applies_to_parts=picked(7, 440))
        await pressed(bot, view, "more_fields", "more_fields")
        shown = view.values[PARTS][PARTS]["selected_options"]
        assert [option["text"]["text"] for option in shown] == ["Part 7", "Part 440"]
        team = {"type": "external_select", **{"selected_option": chosen("c1", "Checkout")["selected_option"]}}
        await bot.fill(
            "ana", view, impact={"type": "number_input", "value": "12"}, custom_field_entries__team=team
        )
        assert (await bot.submit("ana", view)).ok
        await settled(bot)
        (declared,) = backend.declared
        own = {field: [v.shown for v in values] for field, values in declared.backend_entries.items()}
        assert own == {PARTS: ["Part 7", "Part 440"], "impact": ["12"]}
        (entry,) = declared.custom_field_entries["team"]
        assert entry.value_catalog_entry is not None
        assert (entry.value_catalog_entry.id, entry.value_catalog_entry.name) == ("c1", "Checkout")
        assert declared.request.labels == {"part-7": "Part 7", "part-440": "Part 440", "c1": "Checkout"}


async def test_a_searched_field_that_is_typed_opens_the_form_with_its_menu(tmp_path: Path) -> None:
    async with asking(tmp_path) as (bot, _):
        view = await opened(bot)
        await bot.fill("ana", view, severity_id=chosen("major"), applies_to_parts=picked(7))
        assert (await bot.submit("ana", view)).ok
        await settled(bot)
        view = await bot.type_command("ana", "general", "/incident fields INC-1 team checkout")
        assert "Look for “checkout” in the menu of Team." in words(view)
        assert {PARTS, "impact", TEAM} <= set(block_ids(view))
        assert await found(bot, view, PARTS, "part 499") == ["Part 499"]


async def test_what_the_backend_refuses_about_its_own_field_is_said_under_it(tmp_path: Path) -> None:
    async with asking(tmp_path) as (bot, backend):
        view = await opened(bot)
        await bot.fill("ana", view, severity_id=chosen("major"), applies_to_parts=picked(7))
        backend.refusal = Refused("No.", {PARTS: "That part is no longer made."})
        assert (await bot.submit("ana", view)).errors == {PARTS: "That part is no longer made."}


async def test_after_a_restart_the_form_is_there_though_the_backend_is_not_and_says_how_old_it_is(
    tmp_path: Path,
) -> None:
    async with running_workspace(Manifest.from_dict(routes.manifest())) as slack:
        async with asking(tmp_path, slack=slack) as (bot, _):
            assert "could not be asked" not in words(await opened(bot))
        async with asking(tmp_path, slack=slack, down=True) as (bot, _):
            view = await opened(bot)
            assert PARTS in block_ids(view)
            assert "Keeper could not be asked since" in words(view)


async def test_a_form_that_never_came_fills_itself_in_when_the_backend_is_back(tmp_path: Path) -> None:
    async with asking(tmp_path, down=True) as (bot, backend):
        view = await opened(bot)
        await bot.workspace.heard("views.update")
        assert "It fills itself in here" in words(view)
        backend.down = False
        await bot.workspace.heard("views.update", 2)
        assert PARTS in block_ids(view)
        assert view.values["name"]["name"]["value"] == "checkout is slow"
