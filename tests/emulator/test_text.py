"""What people type becomes what Slack makes of it, and no text makes a mention it didn't mean."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slack_emulator.block_kit import block_errors
from slack_emulator.composer import (
    Mention,
    Span,
    broadcasts,
    escape,
    flatten,
    parse_mrkdwn,
    plain_of,
    rich_text_of,
    rich_text_of_mrkdwn,
    unescape,
)

NAMES = {"@ana": "U0ANA", "@oncall": "S0CALL", "#general": "C0GEN", "@ana.lopez": "U0LOPEZ"}
HELD = ["<!channel>", "<!here|x>", "<@U1>", "<!subteam^S1>", "<https://a.b|c>", "&lt;", "&", "|", "^"]
NASTY = st.lists(
    st.sampled_from(
        [*HELD, *"*_~`<>!@#:-•.1 \n", "```", "- ", "1. ", "> ", "@here", "@ana", ":wave:", "https://x.y"]
    )
    | st.text(max_size=4),
    max_size=20,
).map("".join)


def text(words: str) -> Span:
    return Span("text", words)


MEANT: dict[str, tuple[str, list[Span]]] = {
    "bold": ("a *b* c", [text("a "), Span("bold", children=(text("b"),)), text(" c")]),
    "nested": ("*_a_*", [Span("bold", children=(Span("italic", children=(text("a"),)),))]),
    "struck": ("~a b~.", [Span("strike", children=(text("a b"),)), text(".")]),
    "no emphasis inside words": ("a_b_c 2*3*4 the_end_", [text("a_b_c 2*3*4 the_end_")]),
    "no emphasis with spaces inside": ("* a *", [text("* a *")]),
    "no emphasis over lines": ("*a\nb*", [text("*a"), Span("newline"), text("b*")]),
    "a link's underscores are its own": (
        "_see <https://a.b/x_y_z|it>_",
        [Span("italic", children=(text("see "), Span("link", "it", "https://a.b/x_y_z")))],
    ),
    "code is literal": ("`*a* &lt;b&gt;`", [Span("code", "*a* <b>")]),
    "preformatted": ("a\n```b\n*c*```\nd", [text("a"), Span("newline"), Span("pre", "b\n*c*"), text("d")]),
    "quote": (
        "&gt; a\n&gt; *b*\nc",
        [
            Span("quote", children=(text("a"), Span("newline"), Span("bold", children=(text("b"),)))),
            text("c"),
        ],
    ),
    "quote of the rest": (
        "&gt;&gt;&gt; a\nb",
        [Span("quote", children=(text("a"), Span("newline"), text("b")))],
    ),
    "people, channels, groups": (
        "<@U1> <@W2|ana> <#C1|gen> <!subteam^S1|@on>",
        [
            Span("person", target="U1"),
            text(" "),
            Span("person", "ana", "W2"),
            text(" "),
            Span("channel", "gen", "C1"),
            text(" "),
            Span("group", "@on", "S1"),
        ],
    ),
    "broadcasts": (
        "<!here><!channel|x>",
        [Span("broadcast", target="here"), Span("broadcast", "x", "channel")],
    ),
    "escapes are undone once": ("&lt;!here&gt; &amp;lt;", [text("<!here> &lt;")]),
    "links": (
        "<https://a.b?c=1&amp;d=2> <mailto:a@b.c|write>",
        [
            Span("link", "https://a.b?c=1&d=2", "https://a.b?c=1&d=2"),
            text(" "),
            Span("link", "write", "mailto:a@b.c"),
        ],
    ),
    "bare links end before punctuation": (
        "see https://a.b/c_d_e.",
        [text("see "), Span("link", "https://a.b/c_d_e", "https://a.b/c_d_e"), text(".")],
    ),
    "no link runs code": ("<javascript:alert(1)|x>", [text("<javascript:alert(1)|x>")]),
    "no date runs code": ("<!date^5^{date}^javascript:x|then>", [Span("date", "then", ts=5, form="{date}")]),
    "emoji, and what only looks like one": (
        ":wave::skin-tone-3: :+1: 12:30:45",
        [Span("emoji", target="wave::skin-tone-3"), text(" "), Span("emoji", target="+1"), text(" 12:30:45")],
    ),
    "dates": (
        "<!date^1700000000^{date} at {time}^https://a.b|then>",
        [Span("date", "then", "https://a.b", ts=1700000000, form="{date} at {time}")],
    ),
}


@pytest.mark.parametrize("case", MEANT)
def test_mrkdwn_is_read_as_slacks_clients_read_it(case: str) -> None:
    written, spans = MEANT[case]
    assert parse_mrkdwn(written) == spans


def section(*elements: dict[str, object]) -> dict[str, object]:
    return {"type": "rich_text_section", "elements": list(elements)}


def words(shown: str, *styles: str) -> dict[str, object]:
    style = {"style": dict.fromkeys(styles, True)} if styles else {}
    return {"type": "text", "text": shown, **style}


TYPED: dict[str, tuple[str, list[dict[str, object]], str]] = {
    "plain words": ("hello\nthere", [section(words("hello\nthere"))], "hello\nthere"),
    "angle brackets are only characters": (
        "<!channel> & <@U0ANA>",
        [section(words("<!channel> & <@U0ANA>"))],
        "&lt;!channel&gt; &amp; &lt;@U0ANA&gt;",
    ),
    "styles": (
        "*a _b_* `c*`",
        [section(words("a ", "bold"), words("b", "bold", "italic"), words(" "), words("c*", "code"))],
        "*a* *_b_* `c*`",
    ),
    "mentions": (
        "@ana and @ana.lopez, @oncall in #general: @here! a@here",
        [
            section(
                {"type": "user", "user_id": "U0ANA"},
                words(" and "),
                {"type": "user", "user_id": "U0LOPEZ"},
                words(", "),
                {"type": "usergroup", "usergroup_id": "S0CALL"},
                words(" in "),
                {"type": "channel", "channel_id": "C0GEN"},
                words(": "),
                {"type": "broadcast", "range": "here"},
                words("! a@here"),
            )
        ],
        "<@U0ANA> and <@U0LOPEZ>, <!subteam^S0CALL> in <#C0GEN>: <!here>! a@here",
    ),
    "nobody of that name": ("@bob #nowhere", [section(words("@bob #nowhere"))], "@bob #nowhere"),
    "links and emoji": (
        "https://a.b/?c&d :tada:",
        [section({"type": "link", "url": "https://a.b/?c&d"}, words(" "), {"type": "emoji", "name": "tada"})],
        "<https://a.b/?c&amp;d> :tada:",
    ),
    "lists": (
        "do:\n- a\n- *b*\n  - c\n1. d",
        [
            section(words("do:")),
            {
                "type": "rich_text_list",
                "elements": [section(words("a")), section(words("b", "bold"))],
                "style": "bullet",
                "indent": 0,
                "border": 0,
            },
            {
                "type": "rich_text_list",
                "elements": [section(words("c"))],
                "style": "bullet",
                "indent": 1,
                "border": 0,
            },
            {
                "type": "rich_text_list",
                "elements": [section(words("d"))],
                "style": "ordered",
                "indent": 0,
                "border": 0,
            },
        ],
        "do:\n• a\n• *b*\n    • c\n1. d",
    ),
    "quotes and code": (
        "> a\n> b\n```x < y\n*z*```",
        [
            {"type": "rich_text_quote", "elements": [words("a\nb")]},
            {"type": "rich_text_preformatted", "elements": [words("x < y\n*z*")], "border": 0},
        ],
        "&gt; a\n&gt; b\n```x &lt; y\n*z*```",
    ),
}


@pytest.mark.parametrize("case", TYPED)
def test_what_is_typed_becomes_rich_text_and_the_text_beside_it(case: str) -> None:
    typed, elements, flat = TYPED[case]
    blocks = rich_text_of(typed, NAMES)
    assert blocks == [{"type": "rich_text", "elements": elements}]
    assert flatten(blocks) == flat


def test_a_blank_text_makes_no_block() -> None:
    assert rich_text_of(" \n ") == []
    assert flatten([]) == ""


@given(st.text() | NASTY)
def test_escaping_is_undone_exactly_and_never_live(anything: str) -> None:
    assert unescape(escape(anything)) == anything
    assert broadcasts(escape(anything)) == []


@given(st.text() | NASTY)
def test_any_text_can_be_read(anything: str) -> None:
    plain_of(parse_mrkdwn(anything))


@given(st.text() | NASTY)
def test_whatever_is_typed_becomes_a_block_that_slack_takes(anything: str) -> None:
    blocks = rich_text_of(anything, NAMES)
    assert bool(blocks) == bool(anything.strip())
    assert block_errors(blocks, "message") == []


@given(st.text() | NASTY)
def test_typing_makes_no_mention_but_those_of_the_names_it_has(anything: str) -> None:
    flat = flatten(rich_text_of(anything, NAMES))
    for mention in broadcasts(flat):
        token = {identity: name for name, identity in NAMES.items()}.get(mention.target, f"@{mention.target}")
        assert token in anything
    if "@" not in anything:
        assert broadcasts(flat) == []
        assert {span.kind for span in parse_mrkdwn(flat)}.isdisjoint({"person", "group", "broadcast"})


@given(st.text(alphabet=st.characters(categories=["L", "N"]) | st.sampled_from("<>&!@ \n"), min_size=1))
def test_words_without_markup_come_back_as_they_were_typed(anything: str) -> None:
    typed = " ".join(anything.split()).lstrip(">").strip()
    if typed.strip() and not {"@here", "@channel", "@everyone"} & set(typed.split()):
        shown = plain_of(parse_mrkdwn(flatten(rich_text_of(typed))))
        assert shown.split() == typed.split()


def test_a_live_mention_is_found_wherever_it_stands() -> None:
    message = {
        "text": "<!here>",
        "blocks": [
            {"type": "section", "text": {"type": "mrkdwn", "text": "`<!channel>`"}},
            {"type": "header", "text": {"type": "plain_text", "text": "<!everyone>"}},
            {"type": "actions", "elements": [{"type": "button", "value": "<!here>"}]},
            {
                "type": "rich_text",
                "elements": [section(words("<!channel>"), {"type": "broadcast", "range": "everyone"})],
            },
        ],
        "attachments": [{"fields": [{"title": "t", "value": "<!subteam^S1|@x> <@U1>"}]}],
    }
    assert broadcasts(message) == [
        Mention("broadcast", "here", "/text"),
        Mention("broadcast", "channel", "/blocks/0/text/text"),
        Mention("broadcast", "everyone", "/blocks/3/elements/0/elements/1"),
        Mention("group", "S1", "/attachments/0/fields/0/value"),
        Mention("person", "U1", "/attachments/0/fields/0/value"),
    ]


@pytest.mark.parametrize(
    "unit", ["*a ", "_", "<", "`", "```", ":a", "> ", "&gt;", "<@", "*_~", "[", "https://"]
)
def test_a_very_long_text_is_read_in_no_time(unit: str) -> None:
    began = time.thread_time()
    parse_mrkdwn(unit * (40_000 // len(unit)))
    assert time.thread_time() - began < 5, "seconds of processor"


def test_flattened_links_and_dates_read_back_as_themselves() -> None:
    elements = [
        {"type": "link", "url": "https://a.b/?x|y>", "text": "a|b <c>"},
        {"type": "date", "timestamp": 5, "format": "{date}", "fallback": "then", "url": "https://a.b"},
        {"type": "color", "value": "#aabbcc"},
    ]
    flat = flatten([{"type": "rich_text", "elements": [section(*elements)]}])
    link, date, color = parse_mrkdwn(flat)
    assert (link.kind, link.text) == ("link", "a¦b <c>")
    assert (date.kind, date.ts, date.target, date.text) == ("date", 5, "https://a.b", "then")
    assert color == text("#aabbcc")


def styled(words: str, style: str) -> dict[str, object]:
    return {"type": "text", "text": words, "style": {style: True}}


def words(said: str) -> dict[str, object]:
    return {"type": "text", "text": said}


@pytest.mark.parametrize(
    ("text", "elements"),
    [
        ("Hi *there*", [words("Hi "), styled("there", "bold")]),
        (
            "<@U1> in <#C1>",
            [{"type": "user", "user_id": "U1"}, words(" in "), {"type": "channel", "channel_id": "C1"}],
        ),
        ("<!here> @here", [{"type": "broadcast", "range": "here"}, words(" @here")]),
        ("<https://a.example|the page>", [{"type": "link", "url": "https://a.example", "text": "the page"}]),
        ("`x < 1`", [styled("x < 1", "code")]),
    ],
    ids=["emphasis", "mentions", "broadcast", "link", "code"],
)
def test_an_apps_text_becomes_rich_text(text: str, elements: list[dict[str, object]]) -> None:
    (block,) = rich_text_of_mrkdwn(text)
    assert block["elements"] == [{"type": "rich_text_section", "elements": elements}]


@given(NASTY)
def test_whatever_an_app_writes_becomes_rich_text_that_slack_takes(text: str) -> None:
    assert block_errors(rich_text_of_mrkdwn(text), "message") == []
