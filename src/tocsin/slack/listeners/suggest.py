"""Suggest the options of a long menu while somebody types."""

from __future__ import annotations

from slack_bolt.context.ack.async_ack import AsyncAck

from tocsin.incidents.model import Form
from tocsin.slack.desk import Desk
from tocsin.slack.gestures import Suggestion
from tocsin.slack.views.blocks import OPTIONS_LIMIT, found, option
from tocsin.slack.views.declare import FIELD, field_choices, read_declare


async def suggest_options(ack: AsyncAck, suggestion: Suggestion, desk: Desk) -> None:
    """The options of a long select field that match what is being typed; the backend's own are asked for."""
    form, name = desk.forms.now or Form(), suggestion.action_id
    own = name.removeprefix(FIELD)
    field = form.custom_field(own) if name.startswith(FIELD) else form.backend_field(name)
    if field is None or not field.searched:
        await ack(options=found(field_choices(field) if field else (), suggestion.value))
        return
    beside = read_declare(suggestion.view.values).custom_field_entries if suggestion.view else {}
    choices = await desk.forms.options(field.id, suggestion.value, beside)
    await ack(options=[option(choice.id, choice.value) for choice in choices[:OPTIONS_LIMIT]])
