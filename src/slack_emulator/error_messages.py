"""Error messages that Slack shows users."""

from __future__ import annotations

FORM_TROUBLE = "We had some trouble connecting. Try again?"

REFUSALS = {
    "invalid_command": "{what} is not a valid command.",
    "no_commands_in_threads": "{what} is not supported in threads. Sorry!",
    "restricted_action": "You don't have permission to do that in this workspace.",
    "not_in_channel": "You're not in this channel. Join it first.",
    "channel_not_found": "That channel does not exist, or you can't see it.",
    "is_archived": "This channel has been archived.",
    "name_taken": "A channel with that name already exists.",
    "invalid_name_required": "A channel needs a name.",
    "invalid_name_maxlength": "Channel names can't be longer than 80 characters.",
    "invalid_name_specials": (
        "Channel names can only contain lowercase letters, numbers, hyphens and underscores."
    ),
    "invalid_name_punctuation": "Channel names can't be only punctuation.",
    "account_inactive": "This account has been deactivated.",
    "msg_too_long": "Your message is too long.",
    "no_text": "There is nothing to send.",
    "too_long": "That's too long: at most 250 characters.",
    "cant_leave_general": "Everyone is in this channel: it can't be left.",
    "cant_archive_general": "This channel can't be archived.",
    "shortcut_on_ephemeral": "Shortcuts are not offered on messages that only you can see.",
    "message_not_found": "This message doesn't exist any more.",
    "no_assistant_view": "This app has no assistant view.",
    "invalid_value": "That can't be chosen here.",
    "view_not_found": "This view is not open any more.",
    "missing_fields": "Please correct the fields below.",
}


def refusal_words(error: str, what: str = "") -> str:
    return REFUSALS.get(error, f"That didn't work: {error}.").format(what=what)


def unanswered_words(error: str, what: str, app: str) -> str:
    """Return the error for an app that did not acknowledge in time (Slack, Implementing slash commands)."""
    if error == "app_not_responding":
        return f"{what} failed because the app did not respond ({error})."
    return f'{app} didn\'t respond. {what} failed with the error "{error}"'
