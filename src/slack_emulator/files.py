"""Files, which an app uploads in three requests, and canvases, which it writes in Markdown."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from slack_emulator.limits import CANVAS_CHARACTERS, FILE_BYTES
from slack_emulator.messages import Messages
from slack_emulator.models import Change, Channel, Json, Message, Refused, StoredFile
from slack_emulator.state import State, new_id

CANVAS_TYPE = "application/vnd.slack-docs"
_TYPES = {
    "md": ("text/markdown", "markdown", "Markdown (raw)"),
    "json": ("application/json", "json", "JSON"),
    "csv": ("text/csv", "csv", "CSV"),
    "png": ("image/png", "png", "PNG"),
    "txt": ("text/plain", "text", "Plain Text"),
}


@dataclass
class Upload:
    """A file between files.getUploadURLExternal and files.completeUploadExternal."""

    file: StoredFile
    length: int
    came: bool = False


class Files:
    """Files and canvases of apps; a user sees those shared in channels that the user can see."""

    def __init__(self, state: State, messages: Messages) -> None:
        self._state = state
        self._messages = messages
        self._uploads: dict[str, Upload] = {}

    def announce(self, actor: str, name: str, length: int, alt_txt: str = "") -> tuple[str, StoredFile]:
        """Return the key of the upload URL, and the file (Slack, files.getUploadURLExternal)."""
        if not name or length < 1:
            raise Refused("missing_argument")
        if length > FILE_BYTES:
            raise Refused("file_upload_size_restricted")
        mimetype, filetype, _ = _TYPES.get(
            name.rpartition(".")[2].lower(), ("application/octet-stream", "binary", "Binary")
        )
        file = StoredFile(
            id=new_id("F"),
            name=name,
            title=name,
            user=actor,
            created=int(self._state.now()),
            mimetype=mimetype,
            filetype=filetype,
            alt_txt=alt_txt,
        )
        key = secrets.token_hex(24)
        self._uploads[key] = Upload(file, length)
        return key, file

    def expects(self, key: str) -> bool:
        return key in self._uploads

    def receive(self, key: str, content: bytes) -> None:
        """Store the content of an upload. Raises Refused for an unknown or used URL, or a wrong length."""
        upload = self._uploads.get(key)
        if upload is None or upload.came:
            raise Refused("invalid_upload_url")
        if len(content) != upload.length:
            raise Refused("length_mismatch")
        upload.file.content = content.decode("utf-8", "surrogateescape")
        upload.came = True

    def complete(self, actor: str, given: list[Json], channel: Channel | None) -> list[StoredFile]:
        """Complete uploads, each only once (Slack, files.completeUploadExternal)."""
        wanted = {str(one.get("id") or ""): str(one.get("title") or "") for one in given}
        found = {u.file.id: key for key, u in self._uploads.items() if u.came and u.file.user == actor}
        if not wanted or any(file_id not in found for file_id in wanted):
            raise Refused("file_not_found")
        files = []
        for file_id, title in wanted.items():
            file = self._uploads.pop(found[file_id]).file
            file.title = title or file.name
            file.channels = [channel.id] if channel is not None else []
            self._state.save(file)
            files.append(file)
        return files

    def write_canvas(self, actor: str, channel: Channel, title: str, content: Json | None) -> StoredFile:
        """Create the channel's own canvas, of which there is one (Slack, conversations.canvases.create)."""
        if self._state.team.plan == "free":
            raise Refused("team_tier_cannot_create_channel_canvases")
        if self.canvas_of(channel.id) is not None:
            raise Refused("channel_canvas_already_exists")
        markdown = ""
        if content is not None:
            if content.get("type") != "markdown" or not isinstance(content.get("markdown"), str):
                raise Refused(
                    "invalid_arguments", "[ERROR] must be markdown [json-pointer:/document_content]"
                )
            markdown = content["markdown"]
        if len(markdown) > CANVAS_CHARACTERS:
            raise Refused("canvas_too_large")
        canvas = StoredFile(
            id=new_id("F"),
            name=title or "Untitled",
            title=title or "Untitled",
            user=actor,
            created=int(self._state.now()),
            mimetype=CANVAS_TYPE,
            filetype="quip",
            channels=[channel.id],
            tab_of=channel.id,
            content=markdown,
        )
        self._state.save(canvas)
        self._state.feed.announce(Change("channel", channel=channel.id))
        return canvas

    def canvas_of(self, channel_id: str) -> StoredFile | None:
        return next((file for file in self._state.files.values() if file.tab_of == channel_id), None)

    def delete_canvas(self, actor: str, canvas_id: str) -> None:
        canvas = self._state.files.get(canvas_id)
        if canvas is None or not canvas.is_canvas:
            raise Refused("canvas_not_found")
        if canvas.user != actor:
            raise Refused("restricted_action")
        self._state.drop_file(canvas)
        self._state.feed.announce(Change("channel", channel=canvas.tab_of))

    def delete(self, actor: str, file_id: str) -> None:
        """Delete a file and remove it from its messages; a message with nothing else is deleted, too."""
        file = self._state.files.get(file_id)
        if file is None or file.is_canvas:
            raise Refused("file_not_found")
        if file.user != actor:
            raise Refused("cant_delete_file")
        self._state.drop_file(file)
        for channel_id in file.channels:
            shown = [m for m in self._state.lasting(channel_id) if any(f["id"] == file_id for f in m.files)]
            for message in shown:
                self._without(message, file_id)

    def _without(self, message: Message, file_id: str) -> None:
        message.files = [one for one in message.files if one["id"] != file_id]
        if message.text or message.blocks or message.files:
            self._state.save(message)
            self._state.feed.announce(Change("message_changed", message.channel, None, message.ts))
        else:
            self._messages.delete(message)

    def seen_by(self, person: str, file_id: str) -> StoredFile | None:
        """Return the file. Returns None unless the user owns it or can see a channel that it is shared in."""
        file = self._state.files.get(file_id)
        if file is None or file.user == person:
            return file
        rooms = [self._state.channels[one] for one in file.channels if one in self._state.channels]
        somebody = self._state.people.get(person)
        open_to_all = somebody is not None and not somebody.is_confined
        seen = any(person in room.members or (room.kind == "public" and open_to_all) for room in rooms)
        return file if seen else None


def file_json(state: State, file: StoredFile, base_url: str) -> Json:
    """Return a file object (Slack, file object), as far as texts and pictures have its fields."""
    pretty = _TYPES.get(file.name.rpartition(".")[2].lower(), ("", "", "Binary"))[2]
    address = (
        f"{base_url}/docs/{state.team.id}/{file.id}" if file.is_canvas else f"{base_url}/files/{file.id}"
    )
    return {
        "id": file.id,
        "created": file.created,
        "timestamp": file.created,
        "name": file.name,
        "title": file.title,
        "mimetype": file.mimetype,
        "filetype": file.filetype,
        "pretty_type": "Canvas" if file.is_canvas else pretty,
        "user": file.user,
        **({"alt_txt": file.alt_txt} if file.alt_txt else {}),
        "mode": "quip" if file.is_canvas else "hosted",
        "size": len(file.content.encode("utf-8", "surrogateescape")),
        "is_external": False,
        "is_public": any(state.channels[c].kind == "public" for c in file.channels if c in state.channels),
        "channels": [c for c in file.channels if c.startswith("C")],
        "ims": [c for c in file.channels if c.startswith("D")],
        "permalink": address,
        "url_private": address,
        "url_private_download": f"{address}/download",
    }
