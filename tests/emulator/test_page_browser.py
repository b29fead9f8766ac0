"""The page in a real browser: what a person can do with keys, pointer and touch, and what they see."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect
from support.bolt import bolt_app, connected
from support.browser import Screen, axe_findings, opened
from support.clock import fitting_clock
from support.form_bot import MANIFEST, Heard, teach

from slack_emulator.testing import Slack, running_slack

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


@dataclass
class Stage:
    slack: Slack
    heard: Heard

    def path(self, channel: str) -> str:
        return f"/client/{self.slack.channel_id(channel)}"


@pytest_asyncio.fixture(loop_scope="session")
async def stage() -> AsyncIterator[Stage]:
    heard = Heard()
    async with (
        running_slack(MANIFEST, advice="Type `/form`", clock=fitting_clock()) as slack,
        connected(slack, teach(bolt_app(slack), heard)),
    ):
        yield Stage(slack, heard)


@pytest_asyncio.fixture(loop_scope="session")
async def screen(stage: Stage, chromium: Browser) -> AsyncIterator[Screen]:
    async with opened(chromium, stage.slack.address) as screen:
        await screen.open(stage.path("alerts"))
        yield screen


async def open_form(screen: Screen, name: str = "") -> None:
    await screen.say(f"/form {name}".rstrip())
    await expect(screen.dialog).to_be_visible()


async def test_enter_sends_and_shift_enter_makes_a_new_line(screen: Screen) -> None:
    await screen.composer.click()
    await screen.page.keyboard.type("first")
    await screen.page.keyboard.press("Shift+Enter")
    await screen.page.keyboard.type("second")
    await screen.page.keyboard.press("Enter")
    await expect(screen.message("first")).to_contain_text("second")
    await expect(screen.composer).to_have_value("")


async def test_a_slash_anywhere_starts_a_command_and_the_hints_finish_it(screen: Screen) -> None:
    await screen.page.keyboard.press("/")
    await expect(screen.composer).to_be_focused()
    await expect(screen.page.get_by_role("option")).to_have_count(4)
    await screen.page.keyboard.type("fo")
    await expect(screen.page.get_by_role("option").filter(visible=True)).to_have_count(2)
    await screen.page.keyboard.press("ArrowDown")
    await screen.page.keyboard.press("Tab")
    await expect(screen.composer).to_have_value("/format ")
    await screen.page.keyboard.press("Enter")
    await expect(screen.message("Checkout is slow")).to_be_visible()


async def test_a_command_that_is_not_known_says_so_and_gives_the_text_back(screen: Screen) -> None:
    await screen.say("/nonsense one two")
    await expect(screen.page.get_by_test_id("notice")).to_contain_text("/nonsense is not a valid command.")
    await expect(screen.composer).to_have_value("/nonsense one two")


async def test_a_command_that_is_never_answered_shows_operation_timeout(stage: Stage, screen: Screen) -> None:
    await screen.say("/sleep now")
    await expect(screen.page.get_by_text("Working on it…").first).to_be_visible()
    stage.slack.clock.turn(4)
    await expect(screen.page.get_by_test_id("notice")).to_contain_text("operation_timeout")
    await expect(screen.composer).to_have_value("/sleep now")


async def test_what_an_app_whispers_is_marked_as_only_for_you(screen: Screen) -> None:
    await screen.say("/whisper")
    await expect(screen.message("Psst")).to_contain_text("Only visible to you")


async def test_a_form_is_filled_by_keyboard_refused_corrected_and_sent(stage: Stage, screen: Screen) -> None:
    await open_form(screen, "taken")
    name = screen.dialog.get_by_label("Name")
    await expect(name).to_be_focused()
    await expect(name).to_have_value("taken")
    await name.press("Enter")
    level = screen.dialog.get_by_label("Level")
    await expect(level).to_be_focused()
    await expect(level).to_have_accessible_description("Please complete this required field.")
    await level.select_option(label="Major — Some people cannot work")
    await screen.button("Send").click()
    await expect(name).to_have_accessible_description("That name is taken. Short, as you would say it")
    await expect(level).to_have_value("major")
    await name.fill("Checkout is slow")
    await name.press("Enter")
    await expect(screen.dialog).to_contain_text("Filed as F-1.")
    await screen.page.keyboard.press("Escape")
    await expect(screen.dialog).to_have_count(0)
    await expect(screen.composer).to_be_focused()
    assert [entry for entry in stage.heard if "submitted" in entry][-1]["submitted"]["level"]["level"][
        "selected_option"
    ]["value"] == "major"


async def test_every_kind_of_field_arrives_as_it_was_filled(stage: Stage, screen: Screen) -> None:
    await open_form(screen, "Checkout")
    form = screen.dialog
    await form.get_by_label("Level").select_option("minor")
    await form.get_by_label("Notes").fill("one\ntwo")
    await form.get_by_label("Lead").select_option(label="Chloe Marchetti")
    await form.get_by_label("Town (optional)", exact=True).fill("ghe")
    await form.get_by_role("option", name="Ghent").click()
    towns = form.get_by_label("Towns")
    for part, town in (("ant", "Antwerp"), ("leu", "Leuven")):
        await towns.fill(part)
        await expect(form.get_by_role("option", name=town, selected=True)).to_be_visible()
        await towns.press("Enter")
    await form.get_by_role("button", name="Remove Antwerp").click()
    await form.get_by_role("group", name="Tags").get_by_label("Major").check()
    await form.get_by_role("group", name="Crew").get_by_label("Darius Novak").check()
    await form.get_by_role("group", name="Crew").get_by_label("Ana Ferreira").check()
    await form.get_by_label("Where").select_option(label="# alerts")
    await form.get_by_label("Room").select_option(label="# general")
    await form.get_by_label("Count").fill("12")
    await form.get_by_label("Link").fill("https://example.com/a")
    await form.get_by_label("Mail").fill("a@example.com")
    await form.get_by_label("Private").check()
    await form.get_by_role("radiogroup", name="Kind").get_by_label("Minor").check()
    await form.get_by_label("Day").fill("2026-11-21")
    await form.get_by_label("Hour").fill("03:30")
    await form.get_by_label("Moment").fill("2023-11-14T23:13")
    await screen.button("Send").click()
    await expect(form).to_contain_text("Filed as F-1.")
    sent = {block: actions[block] for block, actions in stage.heard[-1]["submitted"].items()}
    assert sent["notes"]["value"] == "one\ntwo"
    assert sent["lead"]["selected_user"] == stage.slack.user_id("chloe")
    assert sent["town"]["selected_option"]["value"] == "ghent"
    assert [o["value"] for o in sent["towns"]["selected_options"]] == ["leuven"]
    assert [o["value"] for o in sent["tags"]["selected_options"]] == ["major"]
    assert set(sent["crew"]["selected_users"]) == {stage.slack.user_id("ana"), stage.slack.user_id("darius")}
    assert sent["where"]["selected_conversation"] == stage.slack.channel_id("alerts")
    assert sent["room"]["selected_channel"] == stage.slack.channel_id("general")
    assert (sent["count"]["value"], sent["link"]["value"]) == ("12", "https://example.com/a")
    assert sent["mail"]["value"] == "a@example.com"
    assert [o["value"] for o in sent["flags"]["selected_options"]] == ["private"]
    assert sent["kind"]["selected_option"]["value"] == "minor"
    assert (sent["day"]["selected_date"], sent["hour"]["selected_time"]) == ("2026-11-21", "03:30")
    assert sent["moment"]["selected_date_time"] == 1700000000 - 20


async def test_what_was_typed_survives_an_update_a_pushed_view_and_a_reload(screen: Screen) -> None:
    await open_form(screen)
    await screen.dialog.get_by_label("Name").fill("half a th")
    await screen.dialog.get_by_label("Notes").fill("some\nnotes")
    await screen.button("More fields").click()
    await expect(screen.dialog.get_by_label("Extra")).to_be_visible()
    await expect(screen.dialog.get_by_label("Name")).to_have_value("half a th")
    await screen.button("Explain").click()
    await expect(screen.dialog).to_contain_text("It is a form.")
    await screen.page.keyboard.press("Escape")
    await expect(screen.dialog.get_by_label("Name")).to_have_value("half a th")
    await screen.page.reload()
    await expect(screen.dialog.get_by_label("Name")).to_have_value("half a th")
    await expect(screen.dialog.get_by_label("Notes")).to_have_value("some\nnotes")


async def test_tab_stays_inside_the_form_and_escape_closes_it(stage: Stage, screen: Screen) -> None:
    await open_form(screen)
    for _ in range(45):
        await screen.page.keyboard.press("Tab")
        outside = await screen.page.evaluate(
            "!['DIALOG','BODY'].includes(document.activeElement.tagName) && "
            "!document.querySelector('dialog').contains(document.activeElement)"
        )
        assert not outside
    await screen.page.keyboard.press("Escape")
    await expect(screen.dialog).to_have_count(0)
    await stage.slack.workspace.heard("view_closed")
    assert "closed" in stage.heard[-1]


async def test_a_form_that_gets_no_answer_stays_with_everything_in_it(stage: Stage, screen: Screen) -> None:
    await open_form(screen, "Checkout")
    await screen.dialog.get_by_label("Level").select_option("minor")
    stage.slack.workspace.sockets.close()
    await screen.button("Send").click()
    await expect(screen.dialog).to_contain_text("We had some trouble connecting. Try again?")
    await expect(screen.dialog.get_by_label("Name")).to_have_value("Checkout")


async def test_a_message_shortcut_is_reached_by_hovering(screen: Screen) -> None:
    alert = screen.message("FIRING: payment webhooks failing")
    await alert.hover()
    await alert.get_by_role("button", name="More actions").click()
    await screen.page.get_by_role("button", name="File this").filter(visible=True).click()
    await expect(screen.dialog.get_by_label("Name")).to_have_value("no text")


async def test_a_message_shortcut_is_reached_by_keyboard_alone(screen: Screen) -> None:
    alert = screen.message("disk usage on db-replica-2")
    await alert.get_by_role("button", name="React with eyes").focus()
    for _ in range(4):
        await screen.page.keyboard.press("Tab")
    await expect(alert.get_by_role("button", name="More actions")).to_be_focused()
    await screen.page.keyboard.press("Enter")
    shortcut = screen.page.get_by_role("button", name="File this").filter(visible=True)
    await shortcut.focus()
    await shortcut.press("Enter")
    await expect(screen.dialog.get_by_label("Name")).to_have_value("[RESOLVED] disk usage on db-replica-2 ba")


async def test_a_global_shortcut_is_offered_beside_the_composer(screen: Screen) -> None:
    await screen.page.get_by_role("button", name="Shortcuts").click()
    await screen.page.get_by_role("button", name="Open form").click()
    await expect(screen.dialog).to_be_visible()


async def test_buttons_menus_and_selects_in_a_message_reach_the_app(stage: Stage, screen: Screen) -> None:
    await screen.say("/format")
    card = screen.message("Checkout is slow")
    await card.get_by_role("button", name="Acknowledge").click()
    await card.get_by_role("combobox", name="Rate it").select_option("major")
    await card.get_by_role("button", name="More options").click()
    await card.get_by_role("button", name="Mute").click()
    await card.get_by_role("button", name="Drop").click()
    await expect(card.get_by_role("alertdialog")).to_contain_text("It cannot be undone.")
    await card.get_by_role("button", name="Yes, drop").click()
    await stage.slack.workspace.heard("block_actions", 4)
    pressed = {entry["pressed"]["action_id"]: entry["pressed"] for entry in stage.heard}
    assert set(pressed) == {"ack", "rate", "extra", "drop"}
    assert pressed["rate"]["selected_option"]["value"] == "major"
    assert pressed["extra"]["selected_option"]["value"] == "mute"


async def test_what_others_do_appears_by_itself(stage: Stage, screen: Screen) -> None:
    slack, ben, alerts = stage.slack, stage.slack.user_id("ben"), stage.slack.channel_id("alerts")
    await screen.composer.fill("a draft")
    said = await slack.workspace.say(ben, alerts, "found it")
    await expect(screen.message("found it")).to_contain_text("Ben Okafor")
    await slack.workspace.edit(ben, alerts, said.ts or "", "found it, fixing")
    await expect(screen.message("found it, fixing")).to_contain_text("(edited)")
    await slack.workspace.react(ben, alerts, said.ts or "", "tada")
    await expect(screen.message("found it").get_by_role("button", name="1 tada")).to_be_visible()
    made = await slack.workspace.create_channel(ben, "inc-1-checkout")
    await slack.workspace.invite(ben, made.channel or "", slack.user_id("ana"))
    await expect(screen.page.get_by_role("link", name="inc-1-checkout")).to_be_visible()
    await expect(screen.composer).to_have_value("a draft")


HEARD_OF_A_CHANGE = """async () => {
    const live = new EventSource("/live");
    await new Promise((told) => live.addEventListener("hello", told));
    window.changed = new Promise((told) => live.addEventListener("change", told)).then(() => fetch(location));
}"""


async def test_nothing_moves_while_a_button_is_held_down(stage: Stage, screen: Screen) -> None:
    slack, ben, alerts = stage.slack, stage.slack.user_id("ben"), stage.slack.channel_id("alerts")
    await screen.say("who has seen this?")
    question = screen.message("who has seen this?")
    await question.hover()
    await question.get_by_role("button", name="React with eyes").hover()
    await screen.page.evaluate(HEARD_OF_A_CHANGE)
    await screen.page.mouse.down()
    await slack.workspace.say(ben, alerts, "found it")
    # The page would have asked for the news before this answer comes.
    await screen.page.evaluate("async () => { await window.changed; }")
    await expect(screen.message("found it")).to_have_count(0)
    await screen.page.mouse.up()
    await expect(screen.message("found it")).to_be_visible()
    await expect(question.get_by_role("button", name="1 eyes")).to_be_visible()


async def test_a_thread_opens_beside_the_channel_and_takes_replies(screen: Screen) -> None:
    await screen.page.get_by_role("link", name="3 replies").click()
    thread = screen.page.get_by_role("complementary", name="Thread")
    await thread.get_by_label("Reply in thread").last.fill("on it")
    await screen.page.keyboard.press("Enter")
    await expect(thread.locator("#thread")).to_contain_text("on it")
    await expect(screen.page.locator("#messages")).to_contain_text("4 replies")
    await screen.page.go_back()
    await expect(thread).to_have_count(0)
    await screen.page.go_forward()
    await expect(thread).to_contain_text("on it")
    await screen.page.keyboard.press("Escape")
    await expect(thread).to_have_count(0)


async def test_the_home_tab_is_filled_by_the_app_and_its_button_works(stage: Stage, screen: Screen) -> None:
    await screen.page.get_by_test_id("app").click()
    await expect(screen.page.get_by_role("heading", name="Welcome home")).to_be_visible()
    await screen.page.get_by_role("button", name="Do it").click()
    await stage.slack.workspace.heard("block_actions")
    assert stage.heard[-1]["pressed"]["action_id"] == "home_button"


async def test_another_person_sees_their_own_workspace(screen: Screen) -> None:
    await screen.act_as("Gus Lindqvist")
    await expect(screen.page.get_by_test_id("channel")).to_have_count(2)


async def test_on_a_small_touch_screen_the_same_things_can_be_done(stage: Stage, chromium: Browser) -> None:
    async with opened(chromium, stage.slack.address, width=400, touch=True) as screen:
        await screen.open("/client")
        await screen.page.get_by_role("link", name="alerts").tap()
        alert = screen.message("FIRING: payment webhooks failing")
        await alert.get_by_role("button", name="More actions").tap()
        await screen.page.get_by_role("button", name="File this").filter(visible=True).tap()
        await expect(screen.dialog.get_by_label("Name")).to_be_visible()
        await screen.dialog.get_by_role("button", name="Cancel").tap()
        await expect(screen.dialog).to_have_count(0)
        await screen.page.get_by_role("link", name="3 replies").tap()
        await expect(screen.page.get_by_role("complementary", name="Thread")).to_be_visible()
        await expect(screen.composer).to_be_hidden()
        width = await screen.page.evaluate("document.documentElement.scrollWidth")
        assert width <= 400


@pytest.mark.parametrize("width", [1280, 400])
async def test_nothing_serious_keeps_anyone_out(stage: Stage, chromium: Browser, width: int) -> None:
    async with opened(chromium, stage.slack.address, width=width) as screen:
        await screen.open(stage.path("alerts"))
        await screen.say("/format")
        await expect(screen.message("Checkout is slow")).to_be_visible()
        found = await axe_findings(screen.page, "channel")
        await screen.page.get_by_test_id("switch-person").click()
        found += await axe_findings(screen.page, "people menu")
        await screen.page.keyboard.press("Escape")
        alert = screen.message("FIRING")
        await alert.hover()
        await alert.get_by_role("button", name="More actions").click()
        await expect(screen.page.get_by_role("button", name="File this").filter(visible=True)).to_be_visible()
        found += await axe_findings(screen.page, "message menu")
        for path in ("/client", "/browse", "/people", stage.path("alerts") + "/details"):
            await screen.open(path)
            found += await axe_findings(screen.page, path)
        await screen.open(f"/home/{stage.slack.app.app_id}")
        await expect(screen.page.get_by_role("heading", name="Welcome home")).to_be_visible()
        found += await axe_findings(screen.page, "home")
        await screen.open(stage.path("alerts"))
        await screen.page.get_by_role("link", name="3 replies").click()
        await expect(screen.page.get_by_role("complementary", name="Thread")).to_be_visible()
        found += await axe_findings(screen.page, "thread")
        await screen.open(stage.path("alerts"))
        await open_form(screen)
        await screen.button("Send").click()
        await expect(screen.dialog).to_contain_text("Please complete this required field.")
        found += await axe_findings(screen.page, "form")
    assert found == []
