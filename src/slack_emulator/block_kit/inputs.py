"""Client-side validation of a form: the errors for which Slack's client does not send it."""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal

from slack_emulator.block_kit.objects import options_of

Validator = Callable[[Mapping[str, object], Mapping[str, object]], str | None]

REQUIRED = "Please complete this required field."
_EMAIL = re.compile(r"[^\s@<>]+@[^\s@<>.]+(\.[^\s@<>.]+)+")
_URL = re.compile(r"https?://[^\s/?#<>|]+\S*", re.IGNORECASE)
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)")


def input_errors(view: Mapping[str, object], state_values: Mapping[str, object]) -> dict[str, str]:
    """Return the error under each field that keeps the client from sending the form, by block_id.

    `state_values` is the `view.state.values` that would be sent: block_id, action_id, state value.
    """
    found: dict[str, str] = {}
    blocks = view.get("blocks")
    for block in blocks if isinstance(blocks, list) else []:
        if isinstance(block, dict) and block.get("type") == "input":
            block_id = str(block.get("block_id", ""))
            wrong = _judged(block, _state_of(block, state_values.get(block_id)))
            if wrong is not None:
                found[block_id] = wrong
    return found


def _state_of(block: Mapping[str, object], states: object) -> Mapping[str, object]:
    element = block.get("element")
    if not isinstance(states, dict) or not isinstance(element, dict):
        return {}
    state = (
        states.get(element.get("action_id")) if "action_id" in element else next(iter(states.values()), None)
    )
    return state if isinstance(state, dict) else {}


def _judged(block: Mapping[str, object], state: Mapping[str, object]) -> str | None:
    element = block.get("element")
    if not isinstance(element, dict):
        return None
    if not _filled(state):
        return None if block.get("optional") else REQUIRED
    judge = _VALIDATORS.get(str(element.get("type")))
    return judge(element, state) if judge else _chosen(element, state)


def _filled(state: Mapping[str, object]) -> bool:
    answers = [value for name, value in state.items() if name not in ("type", "timezone")]
    return any(
        answer.strip() if isinstance(answer, str) else answer not in (None, [], {}) for answer in answers
    )


def _text(element: Mapping[str, object], state: Mapping[str, object]) -> str | None:
    text = str(state.get("value", ""))
    least, most = element.get("min_length", 0), element.get("max_length", 3000)
    if isinstance(least, int) and len(text) < least:
        return f"Please enter at least {least} characters."
    if isinstance(most, int) and len(text) > most:
        return f"Please enter no more than {most} characters."
    return None


def _email(element: Mapping[str, object], state: Mapping[str, object]) -> str | None:
    return None if _EMAIL.fullmatch(str(state.get("value"))) else "Please enter a valid email address."


def _url(element: Mapping[str, object], state: Mapping[str, object]) -> str | None:
    return None if _URL.fullmatch(str(state.get("value"))) else "Please enter a valid URL."


def _number(element: Mapping[str, object], state: Mapping[str, object]) -> str | None:
    written = str(state.get("value")).strip()
    if not _NUMBER.fullmatch(written):
        return "Please enter a number."
    if not element.get("is_decimal_allowed") and not re.fullmatch(r"[+-]?\d+", written):
        return "Please enter a whole number."
    number = Decimal(written)
    if "min_value" in element and number < Decimal(str(element["min_value"])):
        return f"Please enter a number greater than or equal to {element['min_value']}."
    if "max_value" in element and number > Decimal(str(element["max_value"])):
        return f"Please enter a number less than or equal to {element['max_value']}."
    return None


def _chosen(element: Mapping[str, object], state: Mapping[str, object]) -> str | None:
    picked = next((value for name, value in state.items() if name.startswith("selected_")), None)
    several = picked if isinstance(picked, list) else [picked]
    most = element.get("max_selected_items")
    if isinstance(most, int) and len(several) > most:
        return f"Please select no more than {most} items."
    offered = {option.get("value") for option in options_of(element) if isinstance(option, dict)}
    values = [option.get("value") for option in several if isinstance(option, dict)]
    if offered and not offered.issuperset(values):
        return "Please choose from the list."
    return None


def _files(element: Mapping[str, object], state: Mapping[str, object]) -> str | None:
    files, most = state.get("files"), element.get("max_files", 10)
    if isinstance(files, list) and isinstance(most, int) and len(files) > most:
        return f"Please upload no more than {most} files."
    return None


_VALIDATORS: dict[str, Validator] = {
    "plain_text_input": _text,
    "email_text_input": _email,
    "url_text_input": _url,
    "number_input": _number,
    "file_input": _files,
}
