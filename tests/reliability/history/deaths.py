"""Places at which a bot ends itself, as a power cut would, just before or after a function of its own."""

from __future__ import annotations

import os
import signal
from typing import Any

from reliability.history.planting import StandIn


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    signal.pause()


async def _before(original: Any, *args: Any, **named: Any) -> None:
    _die()


async def _after(original: Any, *args: Any, **named: Any) -> None:
    await original(*args, **named)
    _die()


async def _after_the_channels_own(original: Any, *args: Any, thread: Any = None, **named: Any) -> Any:
    """News goes to where the incident was announced at the same time; that is not what is waited for."""
    ts = await original(*args, thread=thread, **named)
    if thread is None:
        _die()
    return ts


DEATHS = {
    "before the create is recorded": StandIn(
        "tocsin.storage.slack_state:SqlSlackStateStore.remember_incident", _before
    ),
    "before the channel is recorded": StandIn(
        "tocsin.backends.local.backend:LocalBackend.set_channel", _before
    ),
    "before the channel's step is recorded": StandIn(
        "tocsin.workflows.channels:ChannelOpener._taken", _after
    ),
    "before the first post is recorded": StandIn(
        "tocsin.storage.slack_state:SqlSlackStateStore.save_rendered", _before
    ),
    "before a change is recorded": StandIn("tocsin.backends.local.backend:LocalBackend.change", _after),
    "before a follow-up is recorded": StandIn(
        "tocsin.backends.local.backend:LocalBackend.add_follow_up", _after
    ),
    "before its news is recorded": StandIn(
        "tocsin.slack.messages:Messages.post_news", _after_the_channels_own
    ),
    "before a note is answered": StandIn("tocsin.workflows.timeline:Notes.run", _after),
    "before an export is recorded": StandIn("tocsin.slack.files:Files.send", _after),
    "before a notice is recorded": StandIn("tocsin.slack.messages:Messages.say_leaving", _after),
    "before the archiving is noted": StandIn("tocsin.slack.channels:Channels.archive", _after),
}
"""By name, as a run asks for them; the first pass is the last."""
