"""Payloads that Slack takes, and the same ones damaged in one place."""

import copy
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slack_sdk.models.blocks import Block
from slack_sdk.models.views import View

from slack_emulator.block_kit import input_errors, message_errors, view_errors

Json = dict[str, object]
GOOD = sorted((Path(__file__).parent / "good").glob("*.json"))
# Block types that slack_sdk's models have no class for.
UNKNOWN_TO_THE_SDK = {"data_table", "data_visualization"}


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_a_good_payload_is_taken(path: Path) -> None:
    payload = json.loads(path.read_text())
    assert (view_errors if "title" in payload or payload.get("type") == "home" else message_errors)(
        payload
    ) == []


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_a_good_payload_is_taken_by_slacks_own_models_too(path: Path) -> None:
    payload = json.loads(path.read_text())
    if "type" in payload:
        View(**payload).validate_json()
        return
    known = [block for block in payload["blocks"] if block["type"] not in UNKNOWN_TO_THE_SDK]
    for block in known:
        parsed = Block.parse(block)
        assert parsed is not None
        parsed.validate_json()


def _places(value: object, path: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    found = [path] if isinstance(value, dict) else []
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return found + [place for key, item in inner for place in _places(item, (*path, key))]


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_a_field_that_slack_does_not_know_is_refused_wherever_it_stands(path: Path) -> None:
    payload = json.loads(path.read_text())
    judge = view_errors if "type" in payload else message_errors
    for place in _places(payload):
        # A message's own arguments and the payloads of its metadata are open.
        if (place == () and "type" not in payload) or {"event_payload", "entity_payload"} & set(place):
            continue
        altered = copy.deepcopy(payload)
        spot = altered
        for step in place:
            spot = spot[step]
        spot["surprise"] = "x"
        assert any("invalid additional property: surprise" in line for line in judge(altered)), place


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def damaged(draw: st.DrawFn) -> tuple[Json, Json]:
    """A good payload with one value replaced by any JSON."""
    good = json.loads(draw(st.sampled_from(GOOD)).read_text())
    spots = [(place, key) for place in _places(good) for key in _at(good, place)]
    place, key = draw(st.sampled_from(spots))
    altered = copy.deepcopy(good)
    _at(altered, place)[key] = draw(JSON)
    return good, altered


def _at(payload: Json, place: tuple[object, ...]) -> Json:
    spot: object = payload
    for step in place:
        spot = spot[step]  # type: ignore[index]
    assert isinstance(spot, dict)
    return spot


@settings(max_examples=200, deadline=None)
@given(damaged())
def test_no_payload_however_damaged_breaks_the_judge(pair: tuple[Json, Json]) -> None:
    good, altered = pair
    lines = view_errors(altered) if "type" in good else message_errors(altered)
    assert all("[ERROR] " in line for line in lines)
    blocks = altered.get("blocks")
    if isinstance(blocks, list) and view_errors(altered) == []:
        input_errors(altered, {})
