"""Schemas of the table, data_table and data_visualization blocks."""

from collections.abc import Mapping

from slack_emulator.blocks.objects import BLOCK_ID, RAW_TEXT
from slack_emulator.blocks.rich_text import RICH_TEXT, words_in
from slack_emulator.grammar import (
    Amount,
    Complaints,
    Flag,
    Kinds,
    Many,
    OneOf,
    Shape,
    Spec,
    Whole,
    Words,
    complaint,
)
from slack_emulator.limits import LEAST, MOST

_ID: dict[str, Spec] = {"block_id": BLOCK_ID}
_RAW_NUMBER = Shape({"value": Amount()}, {"text": Words()})

TABLE = Shape(
    {
        "rows": Many(
            Many(Kinds({"raw_text": RAW_TEXT, "rich_text": RICH_TEXT}), MOST["table.columns"]),
            MOST["table.rows"],
        )
    },
    {
        **_ID,
        "column_settings": Many(
            Shape(optional={"align": OneOf("left", "center", "right"), "is_wrapped": Flag()}),
            MOST["table.column_settings"],
        ),
    },
)


def _square(block: Mapping[str, object], at: str) -> Complaints:
    rows = block["rows"]
    if not isinstance(rows, list):
        return
    if len({len(row) for row in rows}) > 1:
        yield complaint("all rows must have the same number of columns", f"{at}/rows")
    if any(cell.get("type") == "rich_text" for cell in rows[0]):
        yield complaint("header cells cannot contain rich text", f"{at}/rows/0")
    if words_in(rows) > MOST["data_table.content"]:
        yield complaint(f"must be less than {MOST['data_table.content'] + 1} characters", f"{at}/rows")
    header = block.get("row_header_column_index", 0)
    if isinstance(header, int) and header >= len(rows[0]):
        yield complaint(f"must be less than or equal to {len(rows[0]) - 1}", f"{at}/row_header_column_index")


DATA_TABLE = Shape(
    {
        "caption": Words(),
        "rows": Many(
            Many(
                Kinds({"raw_text": RAW_TEXT, "raw_number": _RAW_NUMBER, "rich_text": RICH_TEXT}),
                MOST["data_table.columns"],
                LEAST["data_table.columns"],
            ),
            MOST["data_table.rows"],
            LEAST["data_table.rows"],
        ),
    },
    {
        **_ID,
        "page_size": Whole(LEAST["data_table.page_size"], MOST["data_table.page_size"]),
        "row_header_column_index": Whole(LEAST["data_table.row_header_column_index"]),
    },
    (_square,),
)

_PIE = Shape(
    {
        "segments": Many(
            Shape({"label": Words(MOST["data_visualization.segment.label"]), "value": Amount(positive=True)}),
            MOST["data_visualization.segments"],
            LEAST["data_visualization.segments"],
        )
    }
)
_SERIES = Shape(
    {
        "name": Words(MOST["data_visualization.series_name"]),
        "data": Many(
            Shape({"label": Words(MOST["data_visualization.point_label"]), "value": Amount()}),
            MOST["data_visualization.data"],
            LEAST["data_visualization.data"],
        ),
    }
)
_AXES = Shape(
    {
        "categories": Many(
            Words(MOST["data_visualization.category_label"]),
            MOST["data_visualization.categories"],
            LEAST["data_visualization.categories"],
            distinct=True,
        )
    },
    {
        "x_label": Words(MOST["data_visualization.axis_label"]),
        "y_label": Words(MOST["data_visualization.axis_label"]),
    },
)


def _points_meet_categories(chart: Mapping[str, object], at: str) -> Complaints:
    series, axes = chart["series"], chart["axis_config"]
    if not isinstance(series, list) or not isinstance(axes, dict):
        return
    names = [line["name"] for line in series]
    if len(set(names)) != len(names):
        yield complaint("series names must be unique", f"{at}/series")
    for index, line in enumerate(series):
        if sorted(point["label"] for point in line["data"]) != sorted(axes["categories"]):
            yield complaint("must have one point for every category", f"{at}/series/{index}/data")


_LINES = Shape(
    {
        "series": Many(_SERIES, MOST["data_visualization.series"], LEAST["data_visualization.series"]),
        "axis_config": _AXES,
    },
    rules=(_points_meet_categories,),
)
DATA_VISUALIZATION = Shape(
    {
        "title": Words(MOST["data_visualization.title"]),
        "chart": Kinds({"pie": _PIE, "line": _LINES, "bar": _LINES, "area": _LINES}),
    },
    _ID,
)
