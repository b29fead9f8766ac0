"""Where the operator is reached: the channel they chose, else whoever owns the workspace."""

from __future__ import annotations

import structlog

from tocsin.incidents.errors import SlackRefused
from tocsin.incidents.model import PersonId
from tocsin.slack.views.blocks import escape
from tocsin.slack.workspace import SlackWorkspace

log = structlog.get_logger()


class SlackOperator:
    """Whoever runs Tocsin, as one workspace reaches them.

    `to` is a channel or a person; None where nobody is known, and then only the log is told.
    """

    def __init__(self, workspace: SlackWorkspace, to: str | None) -> None:
        self._workspace = workspace
        self._to = to

    async def say(self, sentence: str, key: str, again: bool) -> None:
        """Post it, once for each key. Raises Unavailable while Slack cannot be asked."""
        if not self._to:
            log.warning("nobody to tell; set TOCSIN_ADMIN_CHANNEL", what=sentence)
            return
        try:
            said = f":warning: {escape(sentence)}"
            await self._workspace.tell(PersonId(self._to), said, about=None, key=key, again=again)
        except SlackRefused as refusal:
            log.error("the operator cannot be told", where=self._to, why=refusal.sentence, what=sentence)
