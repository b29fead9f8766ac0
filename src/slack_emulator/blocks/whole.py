"""Validation across all blocks of a payload: unique ids, one focus, total sizes, elements per surface."""

from collections.abc import Iterator, Mapping

from slack_emulator.blocks.kinds import KINDS_ON
from slack_emulator.grammar import Complaints, Many, complaint
from slack_emulator.limits import MOST

# Slack, workflow button: messages only. File and rich text inputs: modals only.
_ELEMENT_SURFACES = {
    "workflow_button": ("message",),
    "file_input": ("modal",),
    "rich_text_input": ("modal",),
}


def errors_in(blocks: object, surface: str, at: str) -> list[str]:
    """Return the errors that Slack would report for a list of blocks, each with a JSON pointer."""
    most = MOST["message.blocks" if surface == "message" else "view.blocks"]
    least = 0 if surface == "message" else 1
    found = list(Many(KINDS_ON[surface], most, least).errors(blocks, at))
    if isinstance(blocks, list):
        found += _identities(blocks, at)
        found += _elements(blocks, surface, at)
        found += _totals(blocks, at)
    return found


def _identities(blocks: list[object], at: str) -> Complaints:
    seen: set[str] = set()
    for block, place in _blocks(blocks, at):
        block_id = block.get("block_id")
        if not isinstance(block_id, str):
            continue
        if block_id in seen:
            yield complaint(f"`block_id` {block_id} already exists for another block", f"{place}/block_id")
        seen.add(block_id)


def _elements(blocks: list[object], surface: str, at: str) -> Complaints:
    focused: list[str] = []
    for block, place in _blocks(blocks, at):
        acting: set[object] = set()
        for element, spot in elements_of(block, place):
            kind, action_id = element.get("type"), element.get("action_id")
            if isinstance(action_id, str) and action_id in acting:
                yield complaint(
                    f"`action_id` {action_id} already exists for another element", f"{spot}/action_id"
                )
            acting.add(action_id if isinstance(action_id, str) else None)
            if surface not in _ELEMENT_SURFACES.get(str(kind), (surface,)):
                yield complaint(f"unsupported type: {kind}", f"{spot}/type")
            if element.get("response_url_enabled") and (surface, block.get("type")) != ("modal", "input"):
                yield complaint("response_url_enabled works in input blocks of modals only", spot)
            if element.get("focus_on_load") is True:
                focused.append(spot)
    for spot in focused[1:]:
        yield complaint("only one element may set focus_on_load", f"{spot}/focus_on_load")


def _totals(blocks: list[object], at: str) -> Complaints:
    texts = [block.get("text") for block, _ in _blocks(blocks, at) if block.get("type") == "markdown"]
    if (
        len(texts) > 1
        and sum(len(text) for text in texts if isinstance(text, str)) > MOST["markdown.total_text"]
    ):
        yield complaint(
            f"markdown text must be less than {MOST['markdown.total_text'] + 1} characters in all", at
        )
    kinds = [block.get("type") for block, _ in _blocks(blocks, at)]
    if kinds.count("data_visualization") > MOST["message.data_visualizations"]:
        yield complaint(
            f"no more than {MOST['message.data_visualizations']} data_visualization blocks allowed", at
        )


def _blocks(blocks: object, at: str) -> Iterator[tuple[Mapping[str, object], str]]:
    for index, block in enumerate(blocks if isinstance(blocks, list) else []):
        if isinstance(block, dict):
            yield block, f"{at}/{index}"
            yield from _blocks(block.get("child_blocks"), f"{at}/{index}/child_blocks")


def elements_of(block: Mapping[str, object], at: str = "") -> Iterator[tuple[Mapping[str, object], str]]:
    """Yield each interactive element of a block with its JSON pointer."""
    for name in ("element", "accessory"):
        element = block.get(name)
        if isinstance(element, dict):
            yield element, f"{at}/{name}"
    for name in ("elements", "actions"):
        elements = block.get(name)
        for index, element in enumerate(elements if isinstance(elements, list) else []):
            if isinstance(element, dict):
                yield element, f"{at}/{name}/{index}"
                if element.get("type") == "card":
                    yield from elements_of(element, f"{at}/{name}/{index}")
