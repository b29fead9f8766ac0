"""Slack's two ways to write text: mrkdwn, with its escapes and mentions, and rich text."""

from tocsin.playground.texts.compose import flatten, rich_text_of
from tocsin.playground.texts.mentions import Mention, broadcasts
from tocsin.playground.texts.mrkdwn import Span, escape, parse_mrkdwn, plain_of, unescape

__all__ = [
    "Mention",
    "Span",
    "broadcasts",
    "escape",
    "flatten",
    "parse_mrkdwn",
    "plain_of",
    "rich_text_of",
    "unescape",
]
