"""chat.unfurl and entity.*: the previews that an app shows for links in messages."""

from __future__ import annotations

from typing import Any

from slack_emulator.model import Json, Message, Refused
from slack_emulator.web_api.calls import Arguments, Call, Method, Object


class Unfurl(Arguments):
    channel: str | None = None
    ts: str | None = None
    unfurl_id: str | None = None
    source: str | None = None
    unfurls: Object | None = None
    metadata: Object | None = None


class PresentDetails(Arguments):
    trigger_id: str
    metadata: Object | None = None
    error: Object | None = None


def unfurl(call: Call, given: Unfurl) -> Json:
    """Attach previews to a message (Slack, chat.unfurl: either `unfurls` or `metadata`).

    The app names the message either by `channel` and `ts` or by `unfurl_id` and `source`.
    """
    if given.unfurls is None and given.metadata is None:
        raise Refused("missing_unfurls")
    if given.unfurls is not None and given.metadata is not None:
        raise Refused("invalid_arguments", "[ERROR] either unfurls or metadata")
    message = _message(call, given)
    call.workspace.unfurls.show(call.app, message, unfurls=given.unfurls, metadata=given.metadata)
    return {}


def _message(call: Call, given: Unfurl) -> Message:
    if given.unfurl_id is not None or given.source is not None:
        if given.channel is not None or given.ts is not None:
            raise Refused("invalid_arguments", "[ERROR] either unfurl_id and source, or channel and ts")
        if given.unfurl_id is None:
            raise Refused("missing_unfurl_id")
        if given.source is None:
            raise Refused("missing_source")
        return call.workspace.unfurls.find(call.app, given.unfurl_id, given.source)
    if given.channel is None:
        raise Refused("missing_channel")
    if given.ts is None:
        raise Refused("missing_ts")
    try:
        call.visible(given.channel)
    except Refused:
        raise Refused("cannot_find_channel") from None
    return call.workspace.unfurls.message(given.channel, given.ts)


def present_details(call: Call, given: PresentDetails) -> Json:
    call.workspace.unfurls.present(call.app, given.trigger_id, given.metadata, given.error)
    return {}


METHODS: dict[str, Method[Any]] = {
    "chat.unfurl": Method(Unfurl, unfurl),
    "entity.presentDetails": Method(PresentDetails, present_details),
}
