"""What goes wrong while people do things: at Slack, and because somebody else was quicker."""

FAULTY = 0.3
"""The share of gestures with which something goes wrong at Slack."""

TROUBLED = (
    *(
        "chat.postMessage",
        "chat.postMessage",
        "chat.postMessage",
        "chat.update",
        "chat.unfurl",
        "chat.delete",
    ),
    *("conversations.create", "conversations.info", "conversations.setTopic", "conversations.invite"),
    *("files.getUploadURLExternal", "files.completeUploadExternal", "conversations.canvases.create"),
    *("conversations.rename", "conversations.archive", "bookmarks.add", "users.info", "views.publish"),
)
"""What the gate stands before, and what it asks."""

LATE = {"operation_timeout", "app_not_responding"}
"""A busy machine: what is shown all the same is looked at with everything else."""

STALE = {
    *("message_not_found", "view_not_found", "invalid_action", "invalid_value", "no_submit"),
    *("is_archived", "channel_not_found", "not_in_channel"),
}
"""Somebody else, or the bot, was quicker."""
