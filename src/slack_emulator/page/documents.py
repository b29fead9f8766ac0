"""Pages of canvases and files: Markdown as HTML, all else as text."""

from __future__ import annotations

import re

from markdown_it import MarkdownIt
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from slack_emulator.model import StoredFile
from slack_emulator.page.desk import ELSEWHERE, Desk

_CHECK = re.compile(r"<li>\[([ xX])\] ")
_BOX = '<li class="check"><span role="img" aria-label="{}">{}</span> '


def drawn(markdown: str) -> Markup:
    """Return Markdown as HTML, with checkboxes for `[ ]` items; HTML in the text itself is escaped."""
    html = MarkdownIt("commonmark", {"html": False}).enable("table").render(markdown)

    def boxed(found: re.Match[str]) -> str:
        done = found[1] != " "
        return _BOX.format("done" if done else "not done", "☑" if done else "☐")

    return Markup(_CHECK.sub(boxed, html))  # MarkdownIt has escaped it


class Documents:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def canvas(self, request: Request) -> Response:
        return self._shown(request, canvas=True)

    async def file(self, request: Request) -> Response:
        return self._shown(request, canvas=False)

    async def download(self, request: Request) -> Response:
        """Send the file's content as a download, which the browser never runs."""
        file = self._found(request)
        if file is None:
            return self._desk.missing(request)
        return Response(
            file.content.encode("utf-8", "surrogateescape"),
            media_type="application/octet-stream",
            headers={
                "content-disposition": f'attachment; filename="{re.sub(r"[^A-Za-z0-9._-]", "-", file.name)}"',
                "cache-control": "no-store",
            },
        )

    def _found(self, request: Request) -> StoredFile | None:
        viewer = self._desk.acting(request)
        return self._desk.workspace.files.seen_by(viewer, request.path_params["file"])

    def _shown(self, request: Request, *, canvas: bool) -> Response:
        file = self._found(request)
        if file is None or file.is_canvas != canvas:
            return self._desk.missing(request)
        is_markdown = canvas or file.filetype == "markdown"
        return self._desk.answer(
            request,
            ELSEWHERE,
            "document.html",
            title=file.title,
            showing="main",
            file=file,
            html=drawn(file.content) if is_markdown else "",
        )
