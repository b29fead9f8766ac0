"""Slack's two text formats: mrkdwn, with its escapes and mentions, and rich text."""

from slack_emulator.texts.compose import flatten, rich_text_of, rich_text_of_mrkdwn
from slack_emulator.texts.mentions import Mention, broadcasts
from slack_emulator.texts.mrkdwn import Span, escape, parse_mrkdwn, plain_of, unescape

__all__ = [
    "Mention",
    "Span",
    "broadcasts",
    "escape",
    "flatten",
    "parse_mrkdwn",
    "plain_of",
    "rich_text_of",
    "rich_text_of_mrkdwn",
    "unescape",
]
