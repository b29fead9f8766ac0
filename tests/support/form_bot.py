"""A small app with a form of every input, pushed and updated views, shortcuts, buttons and a Home tab."""

from __future__ import annotations

from typing import Any

from slack_bolt.async_app import AsyncApp

from slack_emulator.manifest import Manifest

Json = dict[str, Any]

DECLARED: Json = {
    "display_information": {"name": "Formbot", "description": "Tries every field"},
    "features": {
        "app_home": {"home_tab_enabled": True, "messages_tab_enabled": True},
        "bot_user": {"display_name": "Formbot"},
        "slash_commands": [
            {"command": "/form", "description": "Open the long form", "usage_hint": "[name]"},
            {"command": "/format", "description": "Post a message with every block"},
            {"command": "/sleep", "description": "Never answers"},
            {"command": "/whisper", "description": "Says something to you alone"},
        ],
        "shortcuts": [
            {"name": "Open form", "type": "global", "callback_id": "open_form", "description": "The form"},
            {"name": "File this", "type": "message", "callback_id": "file_this", "description": "About it"},
        ],
    },
    "oauth_config": {
        "scopes": {
            "bot": ["channels:history", "channels:manage", "chat:write", "chat:write.public", "commands"]
        }
    },
    "settings": {
        "event_subscriptions": {"bot_events": ["app_home_opened"]},
        "interactivity": {"is_enabled": True},
        "socket_mode_enabled": True,
    },
}
MANIFEST = Manifest.from_dict(DECLARED)
TOWNS = ("Antwerp", "Bruges", "Ghent", "Leuven", "Mechelen")


def plain(text: str) -> Json:
    return {"type": "plain_text", "text": text}


def option(text: str, value: str, description: str = "") -> Json:
    return {"text": plain(text), "value": value} | (
        {"description": plain(description)} if description else {}
    )


def asked(block_id: str, label: str, element: Json, **more: object) -> Json:
    return {
        "type": "input",
        "block_id": block_id,
        "label": plain(label),
        "element": {"action_id": block_id, **element},
        **more,
    }


LEVELS = [option("Minor", "minor", "A nuisance"), option("Major", "major", "Some people cannot work")]


def every_input(name: str = "") -> list[Json]:
    start = {"initial_value": name} if name else {}
    return [
        asked(
            "name",
            "Name",
            {"type": "plain_text_input", "max_length": 40, "placeholder": plain("What is wrong?"), **start},
            hint=plain("Short, as you would say it"),
        ),
        asked(
            "level", "Level", {"type": "static_select", "options": LEVELS, "placeholder": plain("How bad?")}
        ),
        asked("notes", "Notes", {"type": "plain_text_input", "multiline": True}, optional=True),
        asked("lead", "Lead", {"type": "users_select", "placeholder": plain("Pick a person")}, optional=True),
        asked("town", "Town", {"type": "external_select", "min_query_length": 1}, optional=True),
        asked("towns", "Towns", {"type": "multi_external_select", "min_query_length": 1}, optional=True),
        asked("tags", "Tags", {"type": "multi_static_select", "options": LEVELS}, optional=True),
        asked("crew", "Crew", {"type": "multi_users_select"}, optional=True),
        asked("where", "Where", {"type": "conversations_select"}, optional=True),
        asked("room", "Room", {"type": "channels_select"}, optional=True),
        asked("count", "Count", {"type": "number_input", "is_decimal_allowed": False}, optional=True),
        asked("link", "Link", {"type": "url_text_input"}, optional=True),
        asked("mail", "Mail", {"type": "email_text_input"}, optional=True),
        asked(
            "flags", "Flags", {"type": "checkboxes", "options": [option("Private", "private")]}, optional=True
        ),
        asked("kind", "Kind", {"type": "radio_buttons", "options": LEVELS}, optional=True),
        asked("day", "Day", {"type": "datepicker"}, optional=True),
        asked("hour", "Hour", {"type": "timepicker"}, optional=True),
        asked("moment", "Moment", {"type": "datetimepicker"}, optional=True),
    ]


def form(name: str = "") -> Json:
    more = {
        "type": "actions",
        "block_id": "steps",
        "elements": [
            {"type": "button", "action_id": "more", "text": plain("More fields")},
            {"type": "button", "action_id": "next", "text": plain("Explain")},
        ],
    }
    return {
        "type": "modal",
        "callback_id": "form",
        "title": plain("Every field"),
        "submit": plain("Send"),
        "close": plain("Cancel"),
        "notify_on_close": True,
        "blocks": [*every_input(name), more],
    }


def note(title: str, text: str) -> Json:
    section = {"type": "section", "block_id": "said", "text": {"type": "mrkdwn", "text": text}}
    return {"type": "modal", "title": plain(title), "close": plain("Done"), "blocks": [section]}


CARD: list[Json] = [
    {"type": "header", "block_id": "title", "text": plain("Checkout is slow :snail:")},
    {
        "type": "section",
        "block_id": "facts",
        "text": {
            "type": "mrkdwn",
            "text": "*Lead* <@U0CHLOE003> in <#C0ALERTS02> since <!date^1700000000^{date_short}|then>",
        },
        "fields": [
            {"type": "mrkdwn", "text": "*Level*\nMajor"},
            {"type": "plain_text", "text": "Plain *text*"},
        ],
        "accessory": {
            "type": "overflow",
            "action_id": "extra",
            "options": [option("Copy", "copy"), option("Mute", "mute")],
        },
    },
    {"type": "divider", "block_id": "line"},
    {
        "type": "actions",
        "block_id": "acts",
        "elements": [
            {
                "type": "button",
                "action_id": "ack",
                "text": plain("Acknowledge"),
                "style": "primary",
                "value": "1",
            },
            {
                "type": "button",
                "action_id": "drop",
                "text": plain("Drop"),
                "style": "danger",
                "confirm": {
                    "title": plain("Drop it?"),
                    "text": {"type": "mrkdwn", "text": "It cannot be *undone*."},
                    "confirm": plain("Yes, drop"),
                    "deny": plain("Keep"),
                },
            },
            {
                "type": "button",
                "action_id": "page",
                "text": plain("Runbook"),
                "url": "https://example.com/runbook",
            },
            {
                "type": "static_select",
                "action_id": "rate",
                "placeholder": plain("Rate it"),
                "options": LEVELS,
            },
        ],
    },
    {
        "type": "context",
        "block_id": "foot",
        "elements": [{"type": "mrkdwn", "text": "From `formbot` :robot_face:"}],
    },
]


class Heard(list[Json]):
    """What the app got, oldest first: submissions' values, pressed actions, closed views."""


def teach(app: AsyncApp, heard: Heard) -> AsyncApp:
    """Give the app its listeners."""
    _teach_openings(app)
    _teach_fields(app)
    _teach_endings(app, heard)
    _teach_presses(app, heard)
    return app


def _teach_openings(app: AsyncApp) -> None:
    @app.command("/form")
    async def open_form(ack: Any, body: Json, client: Any) -> None:
        await ack()
        await client.views_open(trigger_id=body["trigger_id"], view=form(body["text"]))

    @app.command("/format")
    async def post_card(ack: Any, body: Json, client: Any) -> None:
        await ack()
        await client.chat_postMessage(channel=body["channel_id"], text="Checkout is slow", blocks=CARD)

    @app.command("/whisper")
    async def whisper(ack: Any, body: Json) -> None:
        await ack(text=f"Psst, <@{body['user_id']}>")

    @app.shortcut("open_form")
    async def open_form_anywhere(ack: Any, body: Json, client: Any) -> None:
        await ack()
        await client.views_open(trigger_id=body["trigger_id"], view=form())

    @app.shortcut("file_this")
    async def open_form_about(ack: Any, body: Json, client: Any) -> None:
        await ack()
        name = body["message"].get("text") or "no text"
        await client.views_open(trigger_id=body["trigger_id"], view=form(name.splitlines()[0][:40]))


def _teach_fields(app: AsyncApp) -> None:
    @app.action("more")
    async def show_more(ack: Any, body: Json, client: Any) -> None:
        await ack()
        view = form()
        extra = asked("extra", "Extra", {"type": "plain_text_input"}, optional=True)
        view["blocks"] = [*view["blocks"][:2], extra, *view["blocks"][2:]]
        await client.views_update(view_id=body["view"]["id"], view=view)

    @app.action("next")
    async def explain(ack: Any, body: Json, client: Any) -> None:
        await ack()
        await client.views_push(trigger_id=body["trigger_id"], view=note("Explained", "It is a *form*."))

    @app.options("town")
    @app.options("towns")
    async def towns(ack: Any, payload: Json) -> None:
        found = [town for town in TOWNS if payload["value"].lower() in town.lower()]
        await ack(options=[option(town, town.lower()) for town in found])


def _teach_endings(app: AsyncApp, heard: Heard) -> None:
    @app.view("form")
    async def submitted(ack: Any, view: Json) -> None:
        values = view["state"]["values"]
        heard.append({"submitted": values})
        if values["name"]["name"]["value"] == "taken":
            await ack(response_action="errors", errors={"name": "That name is taken."})
        else:
            await ack(response_action="update", view=note("Filed", "Filed as *F-1*."))

    @app.view_closed("form")
    async def closed(ack: Any, body: Json) -> None:
        await ack()
        heard.append({"closed": body["view"]["id"]})


def _teach_presses(app: AsyncApp, heard: Heard) -> None:
    for name in ("ack", "drop", "page", "extra", "rate", "home_button"):

        @app.action(name)
        async def pressed(ack: Any, action: Json) -> None:
            await ack()
            heard.append({"pressed": action})

    @app.event("app_home_opened")
    async def home(event: Json, client: Any) -> None:
        if event["tab"] != "home":
            return
        button = {"type": "button", "action_id": "home_button", "text": plain("Do it")}
        text = {"type": "mrkdwn", "text": f"Hello <@{event['user']}>"}
        blocks = [
            {"type": "header", "block_id": "hello", "text": plain("Welcome home")},
            {"type": "section", "block_id": "who", "text": text, "accessory": button},
        ]
        await client.views_publish(user_id=event["user"], view={"type": "home", "blocks": blocks})
