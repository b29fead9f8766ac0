"""Schemas of all kinds of blocks (Slack, Block Kit reference)."""

from collections.abc import Mapping

from slack_emulator.block_kit.elements import (
    BUTTON,
    IMAGE,
    IN_ACTIONS,
    IN_CONTEXT_ACTIONS,
    IN_INPUT,
    IN_SECTION,
)
from slack_emulator.block_kit.objects import (
    BLOCK_ID,
    RAW_TEXT,
    RICH_TEXT,
    RICH_TEXT_VALUE,
    SLACK_FILE,
    SLACK_ICON,
    plain,
    worded,
    words_in,
)
from slack_emulator.limits import LEAST, MOST
from slack_emulator.schema import (
    Array,
    Boolean,
    Enum,
    Errors,
    Integer,
    Number,
    Object,
    Schema,
    String,
    Union,
    Url,
    at_least_one,
    at_most_one,
    error_line,
    exactly_one,
)

# Schemas of the table, data_table and data_visualization blocks.

_ID: dict[str, Schema] = {"block_id": BLOCK_ID}
_RAW_NUMBER = Object({"value": Number()}, {"text": String()})

TABLE = Object(
    {
        "rows": Array(
            Array(Union({"raw_text": RAW_TEXT, "rich_text": RICH_TEXT}), MOST["table.columns"]),
            MOST["table.rows"],
        )
    },
    {
        **_ID,
        "column_settings": Array(
            Object(optional={"align": Enum("left", "center", "right"), "is_wrapped": Boolean()}),
            MOST["table.column_settings"],
        ),
    },
)


def _square(block: Mapping[str, object], at: str) -> Errors:
    rows = block["rows"]
    if not isinstance(rows, list):
        return
    if len({len(row) for row in rows}) > 1:
        yield error_line("all rows must have the same number of columns", f"{at}/rows")
    if any(cell.get("type") == "rich_text" for cell in rows[0]):
        yield error_line("header cells cannot contain rich text", f"{at}/rows/0")
    if words_in(rows) > MOST["data_table.content"]:
        yield error_line(f"must be less than {MOST['data_table.content'] + 1} characters", f"{at}/rows")
    header = block.get("row_header_column_index", 0)
    if isinstance(header, int) and header >= len(rows[0]):
        yield error_line(f"must be less than or equal to {len(rows[0]) - 1}", f"{at}/row_header_column_index")


DATA_TABLE = Object(
    {
        "caption": String(),
        "rows": Array(
            Array(
                Union({"raw_text": RAW_TEXT, "raw_number": _RAW_NUMBER, "rich_text": RICH_TEXT}),
                MOST["data_table.columns"],
                LEAST["data_table.columns"],
            ),
            MOST["data_table.rows"],
            LEAST["data_table.rows"],
        ),
    },
    {
        **_ID,
        "page_size": Integer(LEAST["data_table.page_size"], MOST["data_table.page_size"]),
        "row_header_column_index": Integer(LEAST["data_table.row_header_column_index"]),
    },
    (_square,),
)

_PIE = Object(
    {
        "segments": Array(
            Object(
                {"label": String(MOST["data_visualization.segment.label"]), "value": Number(positive=True)}
            ),
            MOST["data_visualization.segments"],
            LEAST["data_visualization.segments"],
        )
    }
)
_SERIES = Object(
    {
        "name": String(MOST["data_visualization.series_name"]),
        "data": Array(
            Object({"label": String(MOST["data_visualization.point_label"]), "value": Number()}),
            MOST["data_visualization.data"],
            LEAST["data_visualization.data"],
        ),
    }
)
_AXES = Object(
    {
        "categories": Array(
            String(MOST["data_visualization.category_label"]),
            MOST["data_visualization.categories"],
            LEAST["data_visualization.categories"],
            distinct=True,
        )
    },
    {
        "x_label": String(MOST["data_visualization.axis_label"]),
        "y_label": String(MOST["data_visualization.axis_label"]),
    },
)


def _points_meet_categories(chart: Mapping[str, object], at: str) -> Errors:
    series, axes = chart["series"], chart["axis_config"]
    if not isinstance(series, list) or not isinstance(axes, dict):
        return
    names = [line["name"] for line in series]
    if len(set(names)) != len(names):
        yield error_line("series names must be unique", f"{at}/series")
    for index, line in enumerate(series):
        if sorted(point["label"] for point in line["data"]) != sorted(axes["categories"]):
            yield error_line("must have one point for every category", f"{at}/series/{index}/data")


_LINES = Object(
    {
        "series": Array(_SERIES, MOST["data_visualization.series"], LEAST["data_visualization.series"]),
        "axis_config": _AXES,
    },
    rules=(_points_meet_categories,),
)
DATA_VISUALIZATION = Object(
    {
        "title": String(MOST["data_visualization.title"]),
        "chart": Union({"pie": _PIE, "line": _LINES, "bar": _LINES, "area": _LINES}),
    },
    _ID,
)


# Schemas of all block types, and the surfaces that each is available in.

_SECTION = Object(
    {},
    {
        **_ID,
        "text": worded(MOST["section.text"]),
        "fields": Array(worded(MOST["section.fields.item"]), MOST["section.fields"]),
        "accessory": IN_SECTION,
        "expand": Boolean(),
    },
    (at_least_one("text", "fields"),),
)
_TEXT = worded(MOST["text"])
_CONTEXT_ITEMS = Union({"plain_text": _TEXT, "mrkdwn": _TEXT, "image": IMAGE})
_IMAGE = Object(
    {"alt_text": String(MOST["image.alt_text"])},
    {
        **_ID,
        "image_url": Url(MOST["image.image_url"]),
        "slack_file": SLACK_FILE,
        "title": plain(MOST["image.title"]),
    },
    (exactly_one("image_url", "slack_file"),),
)
_INPUT = Object(
    {"label": plain(MOST["input.label"]), "element": IN_INPUT},
    {**_ID, "hint": plain(MOST["input.hint"]), "optional": Boolean(), "dispatch_action": Boolean()},
)
_VIDEO = Object(
    {
        "alt_text": String(MOST["video.alt_text"]),
        "title": plain(MOST["video.title"]),
        "thumbnail_url": Url(MOST["video.thumbnail_url"]),
        "video_url": Url(MOST["video.video_url"]),
    },
    {
        **_ID,
        "author_name": String(MOST["video.author_name"]),
        "description": plain(MOST["video.description"]),
        "provider_icon_url": Url(MOST["video.provider_icon_url"]),
        "provider_name": String(MOST["video.provider_name"]),
        "title_url": Url(MOST["video.title_url"]),
    },
)
_CARD = Object(
    {},
    {
        **_ID,
        "hero_image": Union({"image": IMAGE}),
        "icon": Union({"image": IMAGE}),
        "slack_icon": SLACK_ICON,
        "title": worded(MOST["card.title"]),
        "subtitle": worded(MOST["card.subtitle"]),
        "body": worded(MOST["card.body"]),
        "subtext": worded(MOST["card.subtext"]),
        "actions": Array(Union({"button": BUTTON}), MOST["card.actions"]),
    },
    (at_least_one("hero_image", "title", "actions", "body"), at_most_one("icon", "slack_icon")),
)
_TASK_STATUS = ("in_progress", "complete", "error")
_TASK_KEYS: dict[str, Schema] = {
    "details": RICH_TEXT_VALUE,
    "output": RICH_TEXT_VALUE,
    "sources": Array(Union({"url": Object({"url": Url(), "text": String()})})),
}


def _task(*statuses: str) -> Object:
    return Object({"task_id": String(), "title": String(), "status": Enum(*statuses)}, {**_ID, **_TASK_KEYS})


def _distinct_tasks(plan: Mapping[str, object], at: str) -> Errors:
    tasks = plan["tasks"]
    ids = [task["task_id"] for task in tasks if isinstance(task, dict)] if isinstance(tasks, list) else []
    if len(set(ids)) != len(ids):
        yield error_line("task_id must be unique within a plan", f"{at}/tasks")


def _folds_or_divides(container: Mapping[str, object], at: str) -> Errors:
    folds = container.get("is_collapsible", False)
    if container.get("default_collapsed") and not folds:
        yield error_line("default_collapsed requires is_collapsible", at)
    if container.get("has_header_divider") and folds:
        yield error_line("has_header_divider excludes is_collapsible", at)


_BLOCKS: dict[str, Schema] = {
    "actions": Object({"elements": Array(IN_ACTIONS, MOST["actions.elements"])}, _ID),
    "alert": Object(
        {"text": worded(MOST["alert.text"])},
        {**_ID, "level": Enum("default", "info", "warning", "error", "success")},
    ),
    "card": _CARD,
    "carousel": Object(
        {"elements": Array(Union({"card": _CARD}), MOST["carousel.elements"], LEAST["carousel.elements"])},
        _ID,
    ),
    "context": Object({"elements": Array(_CONTEXT_ITEMS, MOST["context.elements"])}, _ID),
    "context_actions": Object({"elements": Array(IN_CONTEXT_ACTIONS, MOST["context_actions.elements"])}, _ID),
    "data_table": DATA_TABLE,
    "data_visualization": DATA_VISUALIZATION,
    "divider": Object({}, _ID),
    "file": Object({"external_id": String(), "source": Enum("remote")}, _ID),
    "header": Object({"text": plain(MOST["header.text"])}, _ID),
    "image": _IMAGE,
    "input": _INPUT,
    "markdown": Object({"text": String(MOST["markdown.text"])}, _ID),
    "plan": Object(
        {"title": String(), "tasks": Array(_task("pending", *_TASK_STATUS), MOST["plan.tasks"])},
        _ID,
        (_distinct_tasks,),
    ),
    "rich_text": RICH_TEXT,
    "section": _SECTION,
    "table": TABLE,
    "task_card": _task(*_TASK_STATUS),
    "video": _VIDEO,
}
_CHILDREN = ("actions", "context", "divider", "file", "header", "image", "input", "rich_text", "section")
_BLOCKS["container"] = Object(
    {
        "child_blocks": Array(
            Union({name: _BLOCKS[name] for name in (*_CHILDREN, "table", "video")}),
            MOST["container.child_blocks"],
            LEAST["container.child_blocks"],
        )
    },
    {
        **_ID,
        "title": plain(MOST["container.title"]),
        "rich_text_title": RICH_TEXT_VALUE,
        "subtitle": worded(MOST["container.subtitle"]),
        "width": Enum("narrow", "standard", "wide", "full"),
        "icon": Union({"image": IMAGE}),
        "is_collapsible": Boolean(),
        "default_collapsed": Boolean(),
        "has_header_divider": Boolean(),
    },
    (at_least_one("title", "rich_text_title"), _folds_or_divides),
)

# Slack, blocks reference: "available in surfaces".
_EVERYWHERE = {
    "actions",
    "card",
    "context",
    "divider",
    "header",
    "image",
    "input",
    "rich_text",
    "section",
    "video",
}
_TABULAR = {"carousel", "container", "data_table", "data_visualization", "table"}
SURFACES: dict[str, frozenset[str]] = {
    "modal": frozenset(_EVERYWHERE | {"alert"}),
    "home": frozenset(_EVERYWHERE | _TABULAR),
    "message": frozenset(
        _EVERYWHERE | _TABULAR | {"context_actions", "file", "markdown", "plan", "task_card"}
    ),
}
KINDS_ON = {surface: Union(_BLOCKS).only(*names) for surface, names in SURFACES.items()}
