"""What is added to the choices, or taken from them, is in the next form that opens."""

from __future__ import annotations

from pathlib import Path

from support.bot import running_bot
from support.readings import settled

from tocsin.backends.local import LocalBackend


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
