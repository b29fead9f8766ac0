"""A page that was on its way when the process ended is finished by the next one, and pages once."""

from __future__ import annotations

from pathlib import Path

from starlette.responses import JSONResponse, Response
from support.bot import running_bot
from support.errands import declared, opened_by, sent
from support.paging import CONFIG, running_services
from support.readings import settled, told, words
from support.slack import running_workspace

from slack_emulator.manifest import Manifest
from tocsin.slack import routes


async def test_a_page_whose_answer_was_lost_before_a_stop_is_sent_again_with_its_key_and_told(
    tmp_path: Path,
) -> None:
    config = tmp_path / "tocsin.toml"
    async with (
        running_services() as services,
        running_workspace(Manifest.from_dict(routes.manifest())) as slack,
    ):
        config.write_text(CONFIG.format(url=services.url))

        def lost() -> Response:
            services.down = lambda: JSONResponse({}, 503)
            return JSONResponse({}, 500)

        services.answers.append(lost)
        async with running_bot(tmp_path / "data", slack, tocsin_config=config) as bot:
            incident = await declared(bot, "checkout is slow")
            view = await opened_by(
                bot, "ana", incident.slack_channel_id, "/incident page payments cards fail"
            )
            assert "Saved, not through yet" in await sent(bot, "ana", view)
        services.down = None
        async with running_bot(tmp_path / "data", slack, tocsin_config=config) as bot:
            await settled(bot)
            assert len(services.sent("/events")) == 2
            assert len(services.opened) == 1
            assert f"{incident.reference}: payments was paged (PagerDuty)." in words(told(bot, "ana")[-1])
            said = [f"{one.verb} {one.text}" for one in await bot.backend.timeline(incident.id)]
            assert said.count("paged payments (PagerDuty): cards fail") == 1
