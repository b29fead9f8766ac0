"""Validation of Block Kit: the blocks, views and messages that Slack refuses, in Slack's words."""

from typing import Literal

from slack_emulator.block_kit.inputs import input_errors
from slack_emulator.block_kit.surfaces import (
    MessageError,
    errors_in,
    message_errors,
    message_refusal,
    view_errors,
    view_too_large,
)

Surface = Literal["modal", "home", "message"]

__all__ = [
    "MessageError",
    "Surface",
    "block_errors",
    "input_errors",
    "message_errors",
    "message_refusal",
    "view_errors",
    "view_too_large",
]


def block_errors(blocks: object, surface: Surface) -> list[str]:
    """Return the errors that Slack would report for these blocks on that surface; [] if they are valid.

    Wording and JSON pointers are those of `response_metadata.messages` (Slack, block validation errors).
    """
    return errors_in(blocks, surface, "/blocks" if surface == "message" else "/view/blocks")
