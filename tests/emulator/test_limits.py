"""Every number is enforced exactly, and agrees with an independent registry of Slack's limits."""

from collections.abc import Callable

import pytest
from slackblocks import _limits as registry

from slack_emulator.block_kit import block_errors, message_errors, view_errors
from slack_emulator.limits import LEAST, MOST

Json = dict[str, object]
Judge = Callable[[int], list[str]]


def x(n: int) -> str:
    return "x" * n


def url(n: int) -> str:
    return "https://a.example/".ljust(n, "x")


def plain(n: int) -> Json:
    return {"type": "plain_text", "text": x(n)}


def mrkdwn(n: int) -> Json:
    return {"type": "mrkdwn", "text": x(n)}


def options(n: int, **more: object) -> list[Json]:
    return [{"text": plain(1), "value": str(i), **more} for i in range(n)]


def option(**more: object) -> Json:
    return {"text": plain(1), "value": "v", **more}


def on(surface: str, make: Callable[[int], Json | list[Json]]) -> Judge:
    def judge(n: int) -> list[str]:
        made = make(n)
        return block_errors(made if isinstance(made, list) else [made], surface)  # type: ignore[arg-type]

    return judge


def block(kind: str, **fields: Callable[[int], object] | object) -> Judge:
    surface = "modal" if kind in ("alert", "input") else "message"
    return on(surface, lambda n: {"type": kind, **{k: v(n) if callable(v) else v for k, v in fields.items()}})


def acting(kind: str, **fields: Callable[[int], object] | object) -> Judge:
    def make(n: int) -> Json:
        element = {"type": kind, **{k: v(n) if callable(v) else v for k, v in fields.items()}}
        return {"type": "actions", "elements": [element]}

    return on("message", make)


def asked(kind: str, **fields: Callable[[int], object] | object) -> Judge:
    return block(
        "input",
        label=plain(1),
        element=lambda n: {"type": kind, **{k: v(n) if callable(v) else v for k, v in fields.items()}},
    )


def contextual(kind: str, **fields: Callable[[int], object] | object) -> Judge:
    return block(
        "context_actions",
        elements=lambda n: [{"type": kind, **{k: v(n) if callable(v) else v for k, v in fields.items()}}],
    )


def confirmed(part: str) -> Judge:
    def confirm(n: int) -> Json:
        whole = {"title": plain(1), "text": plain(1), "confirm": plain(1), "deny": plain(1)}
        return {**whole, part: plain(n)}

    return acting("button", text=plain(1), confirm=confirm)


def feedback(field: str, make: Callable[[int], object]) -> Judge:
    other = {"text": plain(1), "value": "no"}
    return contextual(
        "feedback_buttons", positive_button=lambda n: {**other, field: make(n)}, negative_button=other
    )


def rich(kind: str, field: str) -> Judge:
    inner: list[Json] = [{"type": "text", "text": "x"}]
    if kind == "rich_text_list":
        inner = [{"type": "rich_text_section", "elements": inner}]
    style = {"style": "bullet"} if kind == "rich_text_list" else {}
    return block("rich_text", elements=lambda n: [{"type": kind, "elements": inner, **style, field: n}])


def cells(columns: int, rows: int = 2) -> list[list[Json]]:
    return [[{"type": "raw_text", "text": "x"}] * columns] * rows


def pie(n: int = 1, label: int = 1) -> Json:
    return {"type": "pie", "segments": [{"label": x(label), "value": 1}] * n}


def lines(series: int = 1, name: int = 1, labels: list[str] | None = None, **axes: object) -> Json:
    points = ["a"] if labels is None else labels
    named = [
        {"name": f"{i:x>{name}}", "data": [{"label": p, "value": 1} for p in points]} for i in range(series)
    ]
    return {"type": "line", "series": named, "axis_config": {"categories": points, **axes}}


def chart(make: Callable[[int], Json]) -> Judge:
    return block("data_visualization", title="t", chart=make)


def view(**fields: Callable[[int], object]) -> Judge:
    def judge(n: int) -> list[str]:
        whole: Json = {"type": "modal", "title": plain(1), "blocks": [{"type": "divider"}]}
        return view_errors({**whole, **{k: v(n) for k, v in fields.items()}})

    return judge


VIDEO: Json = {
    "alt_text": "a",
    "title": plain(1),
    "thumbnail_url": url(20),
    "video_url": url(20),
}


def video(field: str, make: Callable[[int], object]) -> Judge:
    return block("video", **{**VIDEO, field: make})


BUTTON: Json = {"type": "button", "text": plain(1)}
WORKFLOW: Json = {"trigger": {"url": "https://slack.com/shortcuts/Ft0/x"}}
TEXT_CELLS = {"caption": "c"}

AT_MOST: dict[str, Judge] = {
    "action_id": acting("button", text=plain(1), action_id=x),
    "block_id": block("divider", block_id=x),
    "text": block("context", elements=lambda n: [mrkdwn(n)]),
    "actions.elements": block("actions", elements=lambda n: [BUTTON] * n),
    "alert.text": block("alert", text=plain),
    "button.accessibility_label": acting("button", text=plain(1), accessibility_label=x),
    "button.agent_prompt": acting("button", text=plain(1), agent_prompt=x),
    "button.text": acting("button", text=plain),
    "button.url": acting("button", text=plain(1), url=url),
    "button.value": acting("button", text=plain(1), value=x),
    "card.actions": block("card", actions=lambda n: [BUTTON] * n),
    "card.body": block("card", body=mrkdwn),
    "card.subtext": block("card", title=plain(1), subtext=mrkdwn),
    "card.subtitle": block("card", title=plain(1), subtitle=mrkdwn),
    "card.title": block("card", title=mrkdwn),
    "carousel.elements": block("carousel", elements=lambda n: [{"type": "card", "title": plain(1)}] * n),
    "checkboxes.options": acting("checkboxes", options=options),
    "confirmation.confirm": confirmed("confirm"),
    "confirmation.deny": confirmed("deny"),
    "confirmation.text": confirmed("text"),
    "confirmation.title": confirmed("title"),
    "container.child_blocks": block(
        "container", title=plain(1), child_blocks=lambda n: [{"type": "divider"}] * n
    ),
    "container.subtitle": block(
        "container", title=plain(1), subtitle=plain, child_blocks=[{"type": "divider"}]
    ),
    "container.title": block("container", title=plain, child_blocks=[{"type": "divider"}]),
    "context.elements": block("context", elements=lambda n: [mrkdwn(1)] * n),
    "context_actions.elements": block(
        "context_actions",
        elements=lambda n: [{"type": "icon_button", "icon": "trash", "text": plain(1)}] * n,
    ),
    "data_table.columns": block("data_table", **TEXT_CELLS, rows=cells),
    "data_table.content": block(
        "data_table",
        **TEXT_CELLS,
        rows=lambda n: [[{"type": "raw_text", "text": "x"}], [{"type": "raw_text", "text": x(n - 1)}]],
    ),
    "data_table.page_size": block("data_table", **TEXT_CELLS, rows=cells(1), page_size=int),
    "data_table.rows": block("data_table", **TEXT_CELLS, rows=lambda n: cells(1, n)),
    "data_visualization.axis_label": chart(lambda n: lines(x_label=x(n), y_label=x(n))),
    "data_visualization.categories": chart(lambda n: lines(labels=[str(i) for i in range(n)])),
    "data_visualization.category_label": chart(lambda n: lines(labels=[x(n)])),
    "data_visualization.data": chart(lambda n: lines(labels=[str(i) for i in range(n)])),
    "data_visualization.point_label": chart(lambda n: lines(labels=[x(n)])),
    "data_visualization.segment.label": chart(lambda n: pie(label=n)),
    "data_visualization.segments": chart(pie),
    "data_visualization.series": chart(lines),
    "data_visualization.series_name": chart(lambda n: lines(name=n)),
    "data_visualization.title": block("data_visualization", title=x, chart=pie()),
    "date_picker.placeholder": acting("datepicker", placeholder=plain),
    "email_input.placeholder": asked("email_text_input", placeholder=plain),
    "feedback_button.accessibility_label": feedback("accessibility_label", x),
    "feedback_button.text": feedback("text", plain),
    "feedback_button.value": feedback("value", x),
    "file_input.max_files": asked("file_input", max_files=int),
    "header.text": block("header", text=plain),
    "icon_button.accessibility_label": contextual(
        "icon_button", icon="trash", text=plain(1), accessibility_label=x
    ),
    "icon_button.value": contextual("icon_button", icon="trash", text=plain(1), value=x),
    "icon_button.visible_to_user_ids": contextual(
        "icon_button", icon="trash", text=plain(1), visible_to_user_ids=lambda n: ["U1"] * n
    ),
    "image.alt_text": block("image", alt_text=x, image_url=url(20)),
    "image.image_url": block("image", alt_text="a", image_url=url),
    "image.title": block("image", alt_text="a", image_url=url(20), title=plain),
    "image_element.alt_text": block(
        "context", elements=lambda n: [{"type": "image", "alt_text": x(n), "image_url": url(20)}]
    ),
    "image_element.image_url": block(
        "context", elements=lambda n: [{"type": "image", "alt_text": "a", "image_url": url(n)}]
    ),
    "input.hint": block("input", label=plain(1), hint=plain, element={"type": "plain_text_input"}),
    "input.label": block("input", label=plain, element={"type": "plain_text_input"}),
    "markdown.text": block("markdown", text=x),
    "markdown.total_text": on(
        "message", lambda n: [{"type": "markdown", "text": "x"}, {"type": "markdown", "text": x(n - 1)}]
    ),
    "message.attachments": lambda n: message_errors({"attachments": [{"text": "a"}] * n}),
    "message.blocks": on("message", lambda n: [{"type": "divider"}] * n),
    "message.data_visualizations": on(
        "message", lambda n: [{"type": "data_visualization", "title": "t", "chart": pie()}] * n
    ),
    "number_input.placeholder": asked("number_input", is_decimal_allowed=False, placeholder=plain),
    "option.description": acting("checkboxes", options=lambda n: [option(description=plain(n))]),
    "option.text": acting("static_select", options=lambda n: [option(text=plain(n))]),
    "option.url": acting("overflow", options=lambda n: [option(url=url(n))]),
    "option.value": acting("static_select", options=lambda n: [option(value=x(n))]),
    "option_group.label": acting(
        "static_select", option_groups=lambda n: [{"label": plain(n), "options": options(1)}]
    ),
    "option_group.options": acting(
        "static_select", option_groups=lambda n: [{"label": plain(1), "options": options(n)}]
    ),
    "overflow.options": acting("overflow", options=options),
    "plain_text_input.max_length": asked("plain_text_input", max_length=int),
    "plain_text_input.min_length": asked("plain_text_input", min_length=int),
    "plain_text_input.placeholder": asked("plain_text_input", placeholder=plain),
    "plan.tasks": block(
        "plan",
        title="t",
        tasks=lambda n: [{"task_id": str(i), "title": "t", "status": "pending"} for i in range(n)],
    ),
    "radio_buttons.options": acting("radio_buttons", options=options),
    "rich_text_input.max_lines": asked("rich_text_input", max_lines=int),
    "rich_text_input.min_lines": asked("rich_text_input", min_lines=int),
    "rich_text_input.placeholder": asked("rich_text_input", placeholder=plain),
    "rich_text_list.border": rich("rich_text_list", "border"),
    "rich_text_list.indent": rich("rich_text_list", "indent"),
    "rich_text_preformatted.border": rich("rich_text_preformatted", "border"),
    "rich_text_quote.border": rich("rich_text_quote", "border"),
    "section.fields": block("section", fields=lambda n: [mrkdwn(1)] * n),
    "section.fields.item": block("section", fields=lambda n: [mrkdwn(n)]),
    "section.text": block("section", text=mrkdwn),
    "select.option_groups": acting(
        "static_select",
        option_groups=lambda n: [{"label": plain(1), "options": [option(value=str(i))]} for i in range(n)],
    ),
    "select.options": acting("static_select", options=options),
    "select.placeholder": acting("users_select", placeholder=plain),
    "table.column_settings": block("table", rows=cells(1), column_settings=lambda n: [{"align": "left"}] * n),
    "table.columns": block("table", rows=cells),
    "table.rows": block("table", rows=lambda n: cells(1, n)),
    "time_picker.placeholder": acting("timepicker", placeholder=plain),
    "url_input.placeholder": asked("url_text_input", placeholder=plain),
    "video.alt_text": video("alt_text", x),
    "video.author_name": video("author_name", x),
    "video.description": video("description", plain),
    "video.provider_icon_url": video("provider_icon_url", url),
    "video.provider_name": video("provider_name", x),
    "video.thumbnail_url": video("thumbnail_url", url),
    "video.title": video("title", plain),
    "video.title_url": video("title_url", url),
    "video.video_url": video("video_url", url),
    "view.blocks": view(blocks=lambda n: [{"type": "divider"}] * n),
    "view.callback_id": view(callback_id=x),
    "view.close": view(close=plain),
    "view.external_id": view(external_id=x),
    "view.private_metadata": view(private_metadata=x),
    "view.submit": view(submit=plain),
    "view.title": view(title=plain),
    "workflow_button.accessibility_label": acting(
        "workflow_button", text=plain(1), workflow=WORKFLOW, accessibility_label=x
    ),
    "workflow_button.text": acting("workflow_button", text=plain, workflow=WORKFLOW),
}

AT_LEAST: dict[str, Judge] = {
    **{
        name: AT_MOST[name]
        for name in LEAST
        if name in AT_MOST and name not in ("data_table.content", "plain_text_input.min_length")
    },
    "data_table.cell_text": block(
        "data_table",
        **TEXT_CELLS,
        rows=lambda n: [[{"type": "raw_text", "text": "x"}], [{"type": "raw_text", "text": x(n)}]],
    ),
    "data_table.row_header_column_index": block(
        "data_table", **TEXT_CELLS, rows=cells(1), row_header_column_index=int
    ),
    "conversation_filter.include": acting(
        "conversations_select", filter=lambda n: {"include": ["public"] * n}
    ),
    "dispatch_action_configuration.trigger_actions_on": asked(
        "plain_text_input", dispatch_action_config=lambda n: {"trigger_actions_on": ["on_enter_pressed"] * n}
    ),
    "multi_select.max_selected_items": asked("multi_users_select", max_selected_items=int),
    "plain_text_input.min_length": asked("plain_text_input", min_length=int),
    "rich_text_list.offset": rich("rich_text_list", "offset"),
    "select.min_query_length": acting("external_select", min_query_length=int),
}

# Bounds that another bound makes unreachable from above.
SHADOWED = {
    "data_table.cell_text": "one cell may fill the whole table",
    "data_table.total_content": "the same 20,000 characters under a second name",
    "dispatch_action_configuration.trigger_actions_on": "there are only two triggers, and they are distinct",
}

STRICTER = {
    "video.title": "documented as less than 200",
    "video.author_name": "documented as less than 50",
}
ELSEWHERE = {
    "DATA_VISUALIZATION_SEGMENT_VALUE_EXCLUSIVE_MIN": "excludes itself: the grammar says `positive`",
    "MESSAGE_CHANNEL_MIN_LENGTH": "an argument of the method, no part of the message",
}


@pytest.mark.parametrize("name", sorted(AT_MOST))
def test_a_payload_at_the_limit_is_taken_and_one_beyond_it_is_refused(name: str) -> None:
    most = MOST[name]
    assert AT_MOST[name](most) == []
    assert AT_MOST[name](most + 1) != []


@pytest.mark.parametrize("name", sorted(AT_LEAST))
def test_a_payload_at_the_lower_limit_is_taken_and_one_below_it_is_refused(name: str) -> None:
    least = LEAST[name]
    assert AT_LEAST[name](least) == []
    assert AT_LEAST[name](least - 1) != []


def test_no_limit_is_listed_without_being_enforced() -> None:
    assert set(MOST) == {*AT_MOST, *SHADOWED}
    assert set(LEAST) == set(AT_LEAST)


def _ours(constant: str) -> int | None:
    for numbers, endings in (
        (MOST, ("_MAX_LENGTH", "_MAX_ITEMS", "_MAX")),
        (LEAST, ("_MIN_LENGTH", "_MIN_ITEMS", "_MIN")),
    ):
        named = {name.replace(".", "_").upper(): number for name, number in numbers.items()}
        for ending in endings:
            if constant.endswith(ending) and constant.removesuffix(ending) in named:
                return named[constant.removesuffix(ending)]
    return None


@pytest.mark.parametrize("constant", sorted(name for name in vars(registry) if name.isupper()))
def test_each_number_agrees_with_slackblocks_or_differs_for_a_stated_reason(constant: str) -> None:
    theirs, ours = getattr(registry, constant), _ours(constant)
    stricter = {f"{name.replace('.', '_').upper()}_MAX_LENGTH" for name in STRICTER}
    if constant in ELSEWHERE:
        assert ours is None
    elif constant in stricter:
        assert ours is not None
        assert ours < theirs
    else:
        assert ours == theirs
