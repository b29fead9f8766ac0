"""What people write, as they see it on a page: Slack's mrkdwn and Markdown, in linear time."""

from __future__ import annotations

import re
import sys

import pytest

from tocsin.web.rich_text import MOST_RENDERED, rich_text

NAMES = {"U0BEN": "Ben Okafor", "C0PAY": "payments"}
WORDS = '<a href="https://e.com/1" rel="noopener noreferrer">words</a>'
BARE = '<a href="{0}" rel="noopener noreferrer">{0}</a>'


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("plain & simple", "plain &amp; simple"),
        ("*bold* _it_ ~no~ **b**", "<strong>bold</strong> <em>it</em> <s>no</s> <strong>b</strong>"),
        ("2*3*4 a_b_c ~/bin x~y~z * no *", "2*3*4 a_b_c ~/bin x~y~z * no *"),
        ("`a *b* <c>` and ```d```", "<code>a *b* &lt;c&gt;</code> and <code>d</code>"),
        ("<https://e.com/1|words>", WORDS),
        ("[words](https://e.com/1)", WORDS),
        ("(https://e.com/a_b?x=1&y).", f"({BARE.format('https://e.com/a_b?x=1&amp;y')})."),
        ("*https://e.com/x*", f"<strong>{BARE.format('https://e.com/x')}</strong>"),
        ("<https://e.com>", BARE.format("https://e.com")),
        ("<@U0BEN> <@U0ELSE> <@U0ELSE|Ana>", "@Ben Okafor @somebody @Ana"),
        ("<#C0PAY> <#C1|ops> <!here> <!subteam^S1|@dba>", "#payments #ops @here @dba"),
        ("<!date^1772334000^{date}|1 March>", "1 March"),
        (
            "Hit:\n• EU\n• US\n  ◦ east\nSince 21:05",
            "<p>Hit:</p><ul><li>EU</li><li>US<ul><li>east</li></ul></li></ul><p>Since 21:05</p>",
        ),
        ("1. a\n2. b\nc", "<ol><li>a</li><li>b</li></ol><p>c</p>"),
        ("3) a\n4) b", '<ol start="3"><li>a</li><li>b</li></ol>'),
        ("> said\nnot said", "<blockquote><p>said</p></blockquote><p>not said</p>"),
        ("> > a\n> b", "<blockquote><blockquote><p>a</p></blockquote><p>b</p></blockquote>"),
        ("two\nlines\n\nand a paragraph", "<p>two<br>lines</p><p>and a paragraph</p>"),
        ("a\n```\n$ df\n  <x>\n```\nb", "<p>a</p><pre>$ df\n  &lt;x&gt;</pre><p>b</p>"),
        # Slack's own fences: words behind the first one, and before the last one.
        ("```one\ntwo```\nb", "<pre>one\ntwo</pre><p>b</p>"),
        ("a\n```python\nprint(1)\n```", "<p>a</p><pre>print(1)</pre>"),
        ("a\n```\nopen", "<p>a</p><pre>open</pre>"),
        ("a\n---\nb", "<p>a</p><hr><p>b</p>"),
        # What is neither: a figure, a heading, a rule that a person drew, an indented line.
        ("> 5 s", "&gt; 5 s"),
        ("- 5 degrees", "- 5 degrees"),
        ("# INC\nx\n===", "<p># INC<br>x<br>===</p>"),
        ("a\n- - - - - - x", "<p>a</p><ul><li>x</li></ul>"),
        ("a\n    b", "<p>a<br>b</p>"),
        ("a\n" + "> " * 50 + "deep", "<p>a</p>" + "<blockquote>" * 6 + "<p>deep</p>" + "</blockquote>" * 6),
        # Nothing that runs, and no address that says it is another one.
        ("<b>x</b> &lt; \\*", "&lt;b&gt;x&lt;/b&gt; &amp;lt; \\*"),
        ("[x](javascript:alert(1))", "[x](javascript:alert(1))"),
        ("<javascript:alert(1)|x>", "&lt;javascript:alert(1)|x&gt;"),
        ("[x](//evil.example) [x](data:text/html,x)", "[x](//evil.example) [x](data:text/html,x)"),
        (
            '[x](https://e.com/"on="x)',
            '<a href="https://e.com/&#34;on=&#34;x" rel="noopener noreferrer">x</a>',
        ),
        ("<https://evil.example|https://bank.example>", BARE.format("https://evil.example")),
        ("[https://bank.example](https://evil.example)", BARE.format("https://evil.example")),
        ("![x](https://e.com/1)", "!" + WORDS.replace("words", "x")),
    ],
)  # fmt: skip
def test_a_text_is_shown_as_it_was_meant(text: str, html: str) -> None:
    shown = re.sub(
        r"(</?(?:p|[uo]l|li|blockquote|hr|br)>|</pre>|\"3\">)\n", r"\1", str(rich_text(text, NAMES))
    )
    assert shown.replace("\n<ul>", "<ul>") == html


HOSTILE = (
    *("[", "![", "[a](", "[[a](b)", "]", "(", "*", "*a ", "*_", "**a *b ", "_a_ ", "~a", "`", "`` ` "),
    *("<", "<a|", "<http://a|", "<@U1>", "http://[", ": ", "> ", "\n> ", "- ", "\n- ", "\n  - ", "1. "),
    *("\n```\n", "\n```a", "\n> > > ```", "a\n", "\n\n- a\n\n", "[a]: b\n"),
)


def calls(text: str) -> int:
    """How many functions are called for a text."""
    count = 0

    def seen(*_: object) -> None:
        nonlocal count
        count += 1

    sys.setprofile(seen)
    rich_text(text)
    sys.setprofile(None)
    return count


@pytest.mark.parametrize("piece", HOSTILE)
def test_twice_the_text_is_twice_the_work(piece: str) -> None:
    assert calls((piece * 1000)[:1000] + "\n") < 2.5 * calls((piece * 1000)[:500] + "\n") + 500


def test_a_text_that_is_too_long_is_shown_as_it_is() -> None:
    shown = rich_text("*a* <b>\n" * MOST_RENDERED)
    assert str(shown).count("*a* &lt;b&gt;<br>") == MOST_RENDERED
