"""`slack_emulator.testing` and its pytest fixtures, as the tests of any Bolt app would use them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from slack_bolt.adapter.socket_mode.websockets import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient
from support.clock import LoopClock

from slack_emulator.clock import TurnableClock
from slack_emulator.faults import Fault
from slack_emulator.manifest import Manifest
from slack_emulator.models import Refused
from slack_emulator.testing import ActionFailed, Slack

MANIFEST: dict[str, Any] = {
    "display_information": {"name": "Deployer"},
    "features": {
        "app_home": {"home_tab_enabled": True},
        "bot_user": {"display_name": "deployer"},
        "slash_commands": [{"command": "/deploy", "description": "Deploy something"}],
        "shortcuts": [
            {
                "name": "Roll back",
                "type": "message",
                "callback_id": "roll_back",
                "description": "Roll it back",
            }
        ],
    },
    "oauth_config": {"scopes": {"bot": ["commands", "chat:write", "chat:write.public", "reactions:read"]}},
    "settings": {
        "event_subscriptions": {"bot_events": ["app_home_opened", "reaction_added"]},
        "interactivity": {"is_enabled": True},
        "socket_mode_enabled": True,
    },
}


def text(words: str) -> dict[str, str]:
    return {"type": "plain_text", "text": words}


FORM: dict[str, Any] = {
    "type": "modal",
    "callback_id": "deploy",
    "title": text("Deploy"),
    "submit": text("Deploy"),
    "blocks": [
        {
            "type": "input",
            "block_id": "service",
            "label": text("Service"),
            "element": {"type": "plain_text_input", "action_id": "name"},
        },
        {
            "type": "input",
            "block_id": "where",
            "label": text("Environment"),
            "element": {
                "type": "static_select",
                "action_id": "environment",
                "options": [{"text": text("Production"), "value": "prod"}],
            },
        },
        {
            "type": "input",
            "block_id": "who",
            "label": text("Reviewers"),
            "element": {"type": "multi_users_select", "action_id": "reviewers"},
        },
    ],
}
BUTTON = {"type": "button", "action_id": "again", "text": text("Again")}


def deployer(slack: Slack) -> AsyncApp:
    """An app with a command, a form, a button, a shortcut, a Home tab and an event."""
    app = AsyncApp(name="a bot", client=AsyncWebClient(slack.bot_token, base_url=slack.api_url))

    @app.command("/deploy")
    async def deploy(ack: Any, body: Any, client: Any) -> None:
        await ack()
        await client.views_open(trigger_id=body["trigger_id"], view=FORM)

    @app.view("deploy")
    async def deployed(ack: Any, view: Any, client: Any) -> None:
        values = view["state"]["values"]
        if values["service"]["name"]["value"] == "moon":
            await ack(response_action="errors", errors={"service": "There is no such service."})
            return
        await ack()
        people = " ".join(f"<@{who}>" for who in values["who"]["reviewers"]["selected_users"])
        where = values["where"]["environment"]["selected_option"]["value"]
        said = f"Deployed {values['service']['name']['value']} to {where} for {people}"
        blocks = [{"type": "actions", "elements": [BUTTON]}]
        await client.chat_postMessage(channel="C0GENERAL1", text=said, blocks=blocks)

    @app.action("again")
    async def again(ack: Any, respond: Any) -> None:
        await ack()
        await respond("Deployed again.", replace_original=False)

    @app.shortcut("roll_back")
    async def roll_back(ack: Any, shortcut: Any, client: Any) -> None:
        await ack()
        at = {"channel": shortcut["channel"]["id"], "thread_ts": shortcut["message"]["ts"]}
        await client.chat_postMessage(text="Rolled back.", **at)

    @app.event("reaction_added")
    async def reacted(event: Any, client: Any) -> None:
        await client.chat_postMessage(
            channel=event["item"]["channel"], text=f"Thanks for the {event['reaction']}"
        )

    @app.event("app_home_opened")
    async def home(event: Any, client: Any) -> None:
        blocks = [{"type": "section", "text": text("Nothing is deployed.")}]
        await client.views_publish(user_id=event["user"], view={"type": "home", "blocks": blocks})

    return app


@pytest.fixture
def slack_manifest() -> Manifest:
    return Manifest.from_dict(MANIFEST)


@pytest.fixture
async def slack_clock() -> TurnableClock:
    return LoopClock()


@pytest.fixture
async def served(slack: Slack) -> AsyncIterator[Slack]:
    handler = AsyncSocketModeHandler(deployer(slack), slack.app_token)
    await handler.connect_async()
    await slack.connected()
    yield slack
    await handler.close_async()


async def test_a_form_is_filled_by_its_labels_and_what_is_wrong_is_marked(served: Slack) -> None:
    ana, ben = served.user("ana"), served.user("ben")
    await ana.command("/deploy")
    modal = await ana.modal()
    assert modal.title == "Deploy"
    fields = {"Service": "moon", "Environment": "Production", "reviewers": ["ben"]}
    assert (await modal.submit(fields)).errors == {"service": "There is no such service."}
    await modal.submit({"service": "api"})
    await served.called("chat.postMessage")
    (posted,) = [m for m in served.messages("general") if m.app_id == served.app.app_id]
    assert posted.text == f"Deployed api to prod for <@{ben.id}>"
    with pytest.raises(ActionFailed, match="closed"):
        modal.fill({"service": "api"})


async def test_buttons_shortcuts_reactions_and_home_reach_the_app(served: Slack) -> None:
    ana = served.user("ana")
    await ana.invite_app("general")
    said = await ana.say("The api is slow", "general")
    await ana.shortcut("roll_back", said)
    await served.until(lambda: [m for m in served.messages("general") if m.text == "Rolled back."])
    await ana.react("rocket", said)
    await served.until(lambda: [m for m in served.messages("general") if "rocket" in m.text])
    home = await ana.home()
    assert home.view.payload["blocks"][0]["text"]["text"] == "Nothing is deployed."
    await ana.command("/deploy")
    await (await ana.modal()).submit({"Service": "api", "Environment": "prod", "Reviewers": "ana"})
    await served.called("chat.postMessage", 3)
    posted = served.messages("general")[-1]
    await ana.press("again", posted)
    await served.until(lambda: [m for m in ana.messages("general") if m.text == "Deployed again."])


async def test_calls_are_counted_and_may_fail(served: Slack) -> None:
    served.fail("views.open", Fault(error="fatal_error"))
    ana = served.user("ana")
    # Bolt acknowledges nothing where the listener fails.
    with pytest.raises(ActionFailed, match="didn't respond"):
        await ana.command("/deploy")
    (call,) = await served.called("views.open")
    assert call.error == "fatal_error"
    assert len(served.calls("views.open")) == 1
    with pytest.raises(TimeoutError):
        await ana.modal(timeout=1)


async def test_what_slack_refuses_is_said_as_slack_says_it(served: Slack) -> None:
    with pytest.raises(ActionFailed):
        await served.user("ana").command("/unknown")
    with pytest.raises(Refused, match="user_not_found"):
        served.user("nobody")
    ana = served.user("ana")
    await ana.command("/deploy")
    with pytest.raises(ActionFailed, match="There is no 'Colour' here"):
        (await ana.modal()).fill({"Colour": "red"})
