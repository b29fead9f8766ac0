"""What is added to the choices, or taken from them, is in the next form that opens."""

from __future__ import annotations

from pathlib import Path

from support.bot import running_bot
from support.readings import settled

from tocsin.backends.local import LocalBackend
from tocsin.incidents.model import Form


async def test_a_severity_that_was_added_is_in_the_next_form_and_one_that_was_deleted_is_not(
    tmp_path: Path,
) -> None:
    async with running_bot(tmp_path / "data") as bot:
        backend = bot.app.resources.backend
        assert isinstance(backend, LocalBackend)
        await backend.catalogue.create("severities", {"name": "Cosmetic", "description": "", "rank": -1})
        await backend.catalogue.create(
            "custom_fields", {"name": "Region", "description": "", "field_type": "single_select"}
        )
        await backend.catalogue.delete("severities", "critical")
        await settled(bot)
        view = str((await bot.type_command("ana", "general", "/incident the heading is crooked")).payload)
        assert "Cosmetic" in view
        assert "Critical" not in view
        # Slack shows no menu without options.
        assert "Region" not in view


async def test_a_client_that_makes_many_choices_one_after_the_other_makes_the_bot_read_few_forms(
    tmp_path: Path,
) -> None:
    """A read takes the longer the more there are: after an apply of Terraform the bot was slow."""
    async with running_bot(tmp_path / "data") as bot:
        backend, reads = bot.app.resources.backend, 0
        assert isinstance(backend, LocalBackend)
        read = backend.form

        async def counted() -> Form:
            nonlocal reads
            reads += 1
            return await read()

        backend.form = counted  # type: ignore[method-assign]
        for number in range(50):
            option = {"custom_field_id": "detected_by", "value": f"Way {number}", "sort_key": number}
            await backend.catalogue.create("custom_field_options", option)
        await settled(bot)
        assert bot.app.forms.now is not None
        shown = next(field for field in bot.app.forms.now.custom_fields if field.id == "detected_by")
        assert len(shown.options) == 54
        assert reads <= 3
