"""How blocks, text and forms are drawn, and how a form is read back."""

from __future__ import annotations

import json
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import Environment
from starlette.datastructures import FormData
from support.form_bot import CARD, LEVELS, asked, every_input, option, plain

from slack_emulator.seed import seed
from slack_emulator.ui.format import date_words, day_words, moment_of, since_words
from slack_emulator.ui.forms import Surface, values_in
from slack_emulator.ui.html import environment, mrkdwn_html, safe_link
from slack_emulator.ui.messages import Cards, Directory
from slack_emulator.views import STATE_FIELDS
from slack_emulator.workspace import Workspace

ANA = "U0ANA00001"
UTC = ZoneInfo("UTC")
Json = dict[str, Any]


@pytest.fixture(scope="module")
def workspace() -> Workspace:
    made = Workspace()
    seed(made)
    return made


@pytest.fixture(scope="module")
def directory(workspace: Workspace) -> Directory:
    return Directory(workspace, ANA)


@pytest.fixture(scope="module")
def env() -> Environment:
    return environment()


def drawn(env: Environment, directory: Directory, blocks: list[Json], **surface: Any) -> str:
    template = env.from_string('{% from "blocks.html" import blocks with context %}{{ blocks(all, s) }}')
    where = Surface("v-", "/press", directory, "/suggest", **surface)
    return template.render(directory=directory, all=blocks, s=where)


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("*b* _i_ ~s~ `c`", "<b>b</b> <i>i</i> <s>s</s> <code>c</code>"),
        ("&lt;script&gt;", "&lt;script&gt;"),
        ("<script>", "&lt;script&gt;"),
        (f"<@{ANA}>", '<span class="mention me" data-person="U0ANA00001">@Ana Ferreira</span>'),
        ("<#C0ALERTS02>", '<a class="mention" href="/client/C0ALERTS02">#alerts</a>'),
        ("<#D0BENDARI7>", '<span class="mention">🔒 private channel</span>'),
        ("<!subteam^S0ONCALL01>", '<span class="mention">@oncall</span>'),
        ("<!channel>", '<span class="mention me">@channel</span>'),
        (":fire: :no-such:", '<span class="emoji">🔥</span> <span class="emoji">:no-such:</span>'),
    ],
)
def test_mrkdwn_is_drawn_as_slack_shows_it(directory: Directory, text: str, html: str) -> None:
    assert mrkdwn_html(text, directory) == html


def test_a_link_opens_elsewhere_and_tells_the_other_site_nothing(directory: Directory) -> None:
    html = mrkdwn_html("<https://example.com/?a=1&amp;b=2|the page>", directory)
    assert 'href="https://example.com/?a=1&amp;b=2"' in html
    assert 'rel="noopener noreferrer"' in html


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", " javascript:x", "//[", ""])
def test_a_link_that_could_run_something_goes_nowhere(url: str) -> None:
    assert safe_link(url) == "#"


def test_a_date_is_shown_in_the_readers_own_zone(directory: Directory) -> None:
    html = mrkdwn_html("<!date^1700000000^{date_short} at {time}|then>", directory)
    assert ">Nov 14, 2023 at 23:13</time>" in html
    assert 'datetime="2023-11-14T22:13:20+00:00"' in html
    assert 'title="then"' in html


def test_a_date_too_far_away_falls_back_to_its_own_words(directory: Directory) -> None:
    assert mrkdwn_html("<!date^999999999999^{date}|one day>", directory) == "one day"


@given(st.text(alphabet="<>&\"'*_~`:!@#|^-= \nabU0C1script/", max_size=80))
def test_no_text_can_bring_markup_of_its_own(directory: Directory, text: str) -> None:
    html = mrkdwn_html(text, directory)
    assert "<script" not in html.lower()
    assert all(f"<{tag}" not in html for tag in ("img", "form", "input", "svg"))


def test_days_and_spans_of_time_are_said_in_words() -> None:
    now = moment_of("1700000000.000000", UTC)
    assert day_words(now, now) == "Today"
    assert day_words(moment_of("1699913600.0", UTC), now) == "Yesterday"
    assert day_words(moment_of("1690000000.0", UTC), now) == "Saturday, 22 July"
    assert since_words(moment_of("1699999940.0", UTC), now) == "1 minute ago"
    assert since_words(now, now) == "just now"
    assert date_words(now, "{date_num} {nonsense}") == "2023-11-14 {nonsense}"


def test_every_block_of_a_message_is_drawn(env: Environment, directory: Directory) -> None:
    html = drawn(env, directory, CARD)
    for expected in (
        "Checkout is slow 🐌",
        "<hr ",
        "Acknowledge",
        "Rate it",
        "Copy",
        'class="block context"',
    ):
        assert expected in html
    assert "is not drawn here" not in html


def test_a_button_with_a_question_asks_it_first(env: Environment, directory: Directory) -> None:
    html = drawn(env, directory, CARD).split('data-action-id="drop"')[1]
    opener, question = html.split("<div popover", 1)
    assert "hx-post" not in opener
    assert "It cannot be <b>undone</b>." in question.split("Yes, drop")[0]


@pytest.mark.parametrize("asking", every_input("Checkout"), ids=lambda block: block["element"]["type"])
def test_every_input_has_its_label_and_its_place_in_the_form(
    env: Environment, directory: Directory, asking: Json
) -> None:
    block_id = asking["block_id"]
    html = drawn(env, directory, [asking])
    assert "is not drawn here" not in html
    assert f'id="v-{block_id}-{block_id}-label"' in html
    assert f'data-block-id="{block_id}" data-action-id="{block_id}"' in html
    assert ("(optional)" in html) == bool(asking.get("optional"))


def test_a_wrong_field_says_so_to_eyes_and_ears(env: Environment, directory: Directory) -> None:
    html = drawn(env, directory, every_input(), errors={"name": "Too short & <odd>."})
    assert 'id="v-name-name-error" role="alert">Too short &amp; &lt;odd&gt;.</p>' in html
    assert 'aria-describedby="v-name-name-error v-name-name-hint"' in html
    assert html.count('aria-invalid="true"') == 1


def test_what_a_person_left_in_a_form_is_still_there(env: Environment, directory: Directory) -> None:
    values: Json = {
        "name": {"name": {"type": "plain_text_input", "value": 'say "hi"'}},
        "notes": {"notes": {"type": "plain_text_input", "value": "two\nlines"}},
        "level": {"level": {"type": "static_select", "selected_option": LEVELS[1]}},
        "town": {"town": {"type": "external_select", "selected_option": option("Ghent", "ghent")}},
        "flags": {"flags": {"type": "checkboxes", "selected_options": [option("Private", "private")]}},
        "moment": {"moment": {"type": "datetimepicker", "selected_date_time": 1700000000}},
    }
    html = drawn(env, directory, every_input("ignored"), values=values)
    assert 'value="say &#34;hi&#34;"' in html
    assert ">\ntwo\nlines</textarea>" in html
    assert '<option value="major" selected>' in html
    assert 'value="Ghent"' in html
    assert 'value="private" checked' in html
    assert 'value="2023-11-14T23:13"' in html


def test_a_field_the_person_emptied_stays_empty(env: Environment, directory: Directory) -> None:
    values: Json = {"name": {"name": {"type": "plain_text_input", "value": None}}}
    assert "Checkout" not in drawn(env, directory, every_input("Checkout"), values=values)


def test_a_form_is_read_back_as_slack_would_send_it() -> None:
    ghent = json.dumps(option("Ghent", "ghent"))
    form = FormData(
        [
            ("name/name", "Checkout"),
            ("notes/notes", "a\r\nb"),
            ("level/level", "major"),
            ("town/town", ghent),
            ("towns/towns", ghent),
            ("towns/towns", json.dumps(option("Leuven", "leuven"))),
            ("towns/towns", "not an option"),
            ("crew/crew", "U1"),
            ("crew/crew", "U2"),
            ("lead/lead", ""),
            ("moment/moment", "2023-11-14T22:13:20"),
            ("gone/gone", "a field of a block that is no longer there"),
        ]
    )
    blocks = every_input()
    values = values_in(blocks, form, UTC)
    read = {block_id: actions[block_id] for block_id, actions in values.items()}
    assert read["name"] == {"type": "plain_text_input", "value": "Checkout"}
    assert read["notes"]["value"] == "a\nb"
    assert read["level"]["selected_option"] == LEVELS[1]
    assert read["town"]["selected_option"] == option("Ghent", "ghent")
    assert [o["value"] for o in read["towns"]["selected_options"]] == ["ghent", "leuven"]
    assert read["crew"]["selected_users"] == ["U1", "U2"]
    assert read["lead"]["selected_user"] is None
    assert read["tags"]["selected_options"] == []
    assert read["moment"]["selected_date_time"] == 1700000000
    assert "gone" not in read
    for block in blocks:
        kind = block["element"]["type"]
        assert STATE_FIELDS[kind][0] in read[block["block_id"]]


def test_an_input_sends_its_value_at_once_only_when_it_is_declared_to(
    env: Environment, directory: Directory
) -> None:
    text: Json = {"type": "plain_text_input"}
    quiet = asked("a", "A", text)
    on_enter = asked("a", "A", text, dispatch_action=True)
    every_key: Json = text | {"dispatch_action_config": {"trigger_actions_on": ["on_character_entered"]}}
    assert "hx-post" not in drawn(env, directory, [quiet])
    assert 'hx-trigger="entered"' in drawn(env, directory, [on_enter])
    each_key = asked("a", "A", every_key, dispatch_action=True)
    assert 'hx-trigger="input delay:300ms"' in drawn(env, directory, [each_key])


def test_rich_text_keeps_its_lists_quotes_code_and_styles(env: Environment, directory: Directory) -> None:
    words = {"type": "text", "text": "<one>", "style": {"bold": True, "code": True}}
    section: Json = {"type": "rich_text_section", "elements": [words]}
    parts: list[Json] = [
        section,
        {"type": "rich_text_list", "style": "ordered", "elements": [section], "indent": 1},
        {"type": "rich_text_quote", "elements": [{"type": "user", "user_id": ANA}]},
        {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": "x\ny"}]},
    ]
    html = drawn(env, directory, [{"type": "rich_text", "block_id": "r", "elements": parts}])
    assert "<b><code>&lt;one&gt;</code></b>" in html
    assert '<ol class="indent-1">' in html
    assert "<pre>x\ny</pre>" in html
    assert "@Ana Ferreira" in html.split("<blockquote")[1]


def test_an_alert_and_an_image_are_drawn_and_an_unknown_block_says_so(
    env: Environment, directory: Directory
) -> None:
    blocks: list[Json] = [
        {"type": "alert", "block_id": "a", "level": "warning", "text": plain("Careful")},
        {"type": "image", "block_id": "i", "image_url": "javascript:x", "alt_text": "A graph"},
        {"type": "carousel", "block_id": "c"},
    ]
    html = drawn(env, directory, blocks)
    assert 'class="block alert warning"' in html
    assert 'src="#" alt="A graph"' in html
    assert "This block (carousel) is not drawn here." in html


def test_an_attachment_without_text_still_has_an_excerpt_and_its_colour(
    workspace: Workspace, directory: Directory, env: Environment
) -> None:
    channel = workspace.channel_by_name("alerts")
    cards = Cards(directory, channel, workspace.clock.now())
    listed = cards.listed(workspace.history(channel.id, ANA), threads=True)
    alert = next(card for card in listed if card.attachments)
    assert alert.excerpt == "FIRING: payment webhooks failing"
    template = env.from_string('{% from "messages.html" import content with context %}{{ content(m) }}')
    assert 'fill="#d9383a"' in template.render(directory=directory, m=alert)


def test_people_come_before_apps_and_the_deactivated_are_not_offered(directory: Directory) -> None:
    names = [label for _, label, _ in directory.people_choices()]
    assert names[0] == "Ana Ferreira"
    assert "Tom Aldridge" not in names
