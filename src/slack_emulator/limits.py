"""Limits that Slack documents, by the name of what each one bounds."""

from types import MappingProxyType
from typing import Final

# Lengths are characters, counts are items, of Block Kit objects and views
# (Slack, Block Kit reference: blocks, elements, composition objects; Slack, views reference).
_MOST: dict[str, int] = {
    "action_id": 255,
    "block_id": 255,
    "text": 3000,
    "actions.elements": 25,
    "alert.text": 200,
    "button.accessibility_label": 75,
    "button.agent_prompt": 4000,
    "button.text": 75,
    "button.url": 3000,
    "button.value": 2000,
    "card.actions": 3,
    "card.body": 200,
    "card.subtext": 200,
    "card.subtitle": 150,
    "card.title": 150,
    "carousel.elements": 10,
    "checkboxes.options": 10,
    "confirmation.confirm": 30,
    "confirmation.deny": 30,
    "confirmation.text": 300,
    "confirmation.title": 100,
    "container.child_blocks": 10,
    "container.subtitle": 150,
    "container.title": 150,
    "context.elements": 10,
    "context_actions.elements": 5,
    "data_table.cell_text": 20_000,
    "data_table.columns": 20,
    "data_table.content": 20_000,
    "data_table.page_size": 100,
    "data_table.rows": 201,
    "data_table.total_content": 20_000,
    "data_visualization.axis_label": 50,
    "data_visualization.categories": 20,
    "data_visualization.category_label": 20,
    "data_visualization.data": 20,
    "data_visualization.point_label": 20,
    "data_visualization.segment.label": 20,
    "data_visualization.segments": 12,
    "data_visualization.series": 12,
    "data_visualization.series_name": 20,
    "data_visualization.title": 50,
    "date_picker.placeholder": 150,
    "dispatch_action_configuration.trigger_actions_on": 2,
    "email_input.placeholder": 150,
    "feedback_button.accessibility_label": 75,
    "feedback_button.text": 75,
    "feedback_button.value": 2000,
    "file_input.max_files": 10,
    "header.text": 150,
    "icon_button.accessibility_label": 75,
    "icon_button.value": 2000,
    "icon_button.visible_to_user_ids": 10,
    "image.alt_text": 2000,
    "image.image_url": 3000,
    "image.title": 2000,
    "image_element.alt_text": 2000,
    "image_element.image_url": 3000,
    "input.hint": 2000,
    "input.label": 2000,
    "markdown.text": 12_000,
    "markdown.total_text": 12_000,
    "message.attachments": 100,
    "message.blocks": 50,
    "message.data_visualizations": 2,
    "number_input.placeholder": 150,
    "option.description": 75,
    "option.text": 75,
    "option.url": 3000,
    "option.value": 150,
    "option_group.label": 75,
    "option_group.options": 100,
    "overflow.options": 5,
    "plain_text_input.max_length": 3000,
    "plain_text_input.min_length": 3000,
    "plain_text_input.placeholder": 150,
    "plan.tasks": 50,
    "radio_buttons.options": 10,
    "rich_text_input.max_lines": 100,
    "rich_text_input.min_lines": 100,
    "rich_text_input.placeholder": 150,
    "rich_text_list.border": 1,
    "rich_text_list.indent": 8,
    "rich_text_preformatted.border": 1,
    "rich_text_quote.border": 1,
    "section.fields": 10,
    "section.fields.item": 2000,
    "section.text": 3000,
    "select.option_groups": 100,
    "select.options": 100,
    "select.placeholder": 150,
    "table.column_settings": 20,
    "table.columns": 20,
    "table.rows": 100,
    "time_picker.placeholder": 150,
    "url_input.placeholder": 150,
    "video.alt_text": 2000,
    # Slack, video block: title and author must be *less* than 200 and 50 characters.
    "video.author_name": 49,
    "video.description": 200,
    "video.provider_icon_url": 2000,
    "video.provider_name": 50,
    "video.thumbnail_url": 3000,
    "video.title": 199,
    "video.title_url": 2000,
    "video.video_url": 3000,
    "view.blocks": 100,
    "view.callback_id": 255,
    "view.close": 24,
    "view.external_id": 255,
    "view.private_metadata": 3000,
    "view.submit": 24,
    "view.title": 24,
    "workflow_button.accessibility_label": 75,
    "workflow_button.text": 75,
}

_LEAST: dict[str, int] = {
    "text": 1,
    "carousel.elements": 1,
    "checkboxes.options": 1,
    "container.child_blocks": 1,
    "conversation_filter.include": 1,
    "data_table.cell_text": 1,
    "data_table.columns": 1,
    "data_table.page_size": 1,
    "data_table.row_header_column_index": 0,
    "data_table.rows": 2,
    "data_visualization.categories": 1,
    "data_visualization.data": 1,
    "data_visualization.segments": 1,
    "data_visualization.series": 1,
    "dispatch_action_configuration.trigger_actions_on": 1,
    "file_input.max_files": 1,
    "multi_select.max_selected_items": 1,
    "option_group.options": 1,
    "overflow.options": 1,
    "plain_text_input.max_length": 1,
    "plain_text_input.min_length": 0,
    "radio_buttons.options": 1,
    "rich_text_input.max_lines": 1,
    "rich_text_input.min_lines": 1,
    "rich_text_list.border": 0,
    "rich_text_list.indent": 0,
    "rich_text_list.offset": 0,
    "rich_text_preformatted.border": 0,
    "rich_text_quote.border": 0,
    "select.min_query_length": 0,
    "select.option_groups": 1,
    "select.options": 1,
}

MOST: Final = MappingProxyType(_MOST)
LEAST: Final = MappingProxyType(_LEAST)

# Views (Slack, modals; views.open, views.push, views.publish references).
VIEW_STACK: Final = 3
VIEW_BYTES: Final = 250_000

# Acknowledgements, triggers, response URLs, retries (Slack, handling user interaction; events API).
ACK_SECONDS: Final = 3.0
TRIGGER_SECONDS: Final = 3.0
RESPONSE_URL_USES: Final = 5
RESPONSE_URL_SECONDS: Final = 30 * 60
EVENT_RETRY_SECONDS: Final = (0, 60, 300)
SIGNATURE_SECONDS: Final = 5 * 60
SUGGESTED_OPTIONS: Final = 100

# Characters of messages (Slack, chat.update and chat.postMessage references). Slack truncates a post at
# MESSAGE_CUT, and refuses an update over MESSAGE_TEXT (`msg_too_long`).
MESSAGE_TEXT: Final = 4_000
MESSAGE_CUT: Final = 40_000
MARKDOWN_TEXT: Final = 12_000
METADATA_BYTES: Final = 8_000

# Channels, pins and bookmarks (Slack, conversations.* and bookmarks.add references).
CHANNEL_NAME: Final = 80
TOPIC: Final = 250
PURPOSE: Final = 250
INVITED_AT_ONCE: Final = 100
BOOKMARK_TITLE: Final = 256
BOOKMARK_LINK: Final = 2_048
BOOKMARKS: Final = 100
PINS: Final = 100

# Canvases (Slack, conversations.canvases.create: 1 MiB of Markdown), and files (Slack accepts 1 GB).
CANVAS_CHARACTERS: Final = 1_048_576
FILE_BYTES: Final = 20_000_000

# Socket Mode (Slack, using multiple connections) and rate limits per minute (Slack, rate limits).
SOCKETS: Final = 10
CALLS_A_MINUTE: Final = MappingProxyType({1: 1, 2: 20, 3: 50, 4: 100})
POSTS_A_SECOND_PER_CHANNEL: Final = 1

# History calls of commercial apps outside the Marketplace (Slack, rate limits, 29 May 2025).
LOOKS_A_MINUTE: Final = 1
MESSAGES_A_LOOK: Final = 15
