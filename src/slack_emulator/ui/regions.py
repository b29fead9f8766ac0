"""Regions of the page, rendered again as they change, and its notices."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from jinja2 import Environment
from markupsafe import Markup

from slack_emulator.composer import parse_mrkdwn, plain_of
from slack_emulator.entity_comments import CommentsView
from slack_emulator.models import Channel, InstalledApp, Message, Outcome, View
from slack_emulator.ui.forms import Surface, field_name
from slack_emulator.ui.html import digest
from slack_emulator.ui.messages import Cards, Directory, Menu
from slack_emulator.views import elements_of
from slack_emulator.workspace import Workspace

# Notices of failed actions, kept for each user until dismissed or until a later attempt succeeds.

KEPT = 3
"""Notices that a user sees at once; the oldest is dropped first."""


@dataclass(frozen=True)
class Notice:
    id: int
    text: str


@dataclass
class FormErrors:
    """The errors of one open view: a sentence for the whole form, and one for each field, by block_id."""

    sentence: str = ""
    errors: Mapping[str, str] = field(default_factory=dict)


class Notices:
    def __init__(self) -> None:
        self._last = 0
        self._notices: dict[str, list[Notice]] = {}
        self._troubles: dict[str, FormErrors] = {}

    def add(self, person: str, outcome: Outcome) -> None:
        self._last += 1
        text = outcome.message or f"That didn't work: {outcome.error}."
        self._notices[person] = [*self._notices.get(person, []), Notice(self._last, text)][-KEPT:]

    def of(self, person: str) -> list[Notice]:
        return list(self._notices.get(person, []))

    def dismiss(self, person: str, notice_id: int) -> None:
        self._notices[person] = [n for n in self.of(person) if n.id != notice_id]

    def clear(self, person: str) -> None:
        self._notices.pop(person, None)

    def reject(self, view_id: str, outcome: Outcome) -> None:
        """Keep the errors of a submission or an action in a view; a success clears them."""
        if outcome.ok:
            self._troubles.pop(view_id, None)
        else:
            sentence = "" if outcome.errors else outcome.message or f"That didn't work: {outcome.error}."
            self._troubles[view_id] = FormErrors(sentence, dict(outcome.errors))

    def form_errors(self, view_id: str) -> FormErrors:
        return self._troubles.get(view_id, FormErrors())


# HTML of the page's regions (sidebar, messages, thread, modal, notices), for one viewer at one location.

SHOWN = 80
"""Number of newest messages that a channel shows at first."""
_WITHOUT_FOCUS = frozenset({"button", "overflow", "image"})


Aside = Literal["", "thread", "details", "comments"]


@dataclass(frozen=True)
class Location:
    """Location of the viewer on the page."""

    kind: Literal["channel", "home", "steps", "other"]
    channel: Channel | None = None
    aside: Aside = ""
    thread_ts: str = ""
    app_id: str = ""
    shown: int = SHOWN
    comments: CommentsView | None = None
    """The open comments of a Work Object."""


class RegionRenderer:
    def __init__(
        self, workspace: Workspace, env: Environment, notices: Notices, viewer: str, location: Location
    ) -> None:
        self.workspace = workspace
        self.viewer = viewer
        self.location = location
        self.directory = Directory(workspace, viewer)
        self._env = env
        self._notices = notices
        self.menu = Menu(self.shortcuts("message"))

    # the whole page

    def regions(self) -> dict[str, Markup]:
        """Return the HTML of every region, by element id, each with a digest that identifies its content."""
        return {name: _marked(name, draw()) for name, draw in self._renderers().items()}

    def _renderers(self) -> dict[str, Callable[[], str]]:
        drawers: dict[str, Callable[[], str]] = {
            "sidebar": self._sidebar,
            "layer": self._layer,
            "notices": self._told,
        }
        if self.location.kind == "home":
            drawers["home"] = self._home
        if self.location.kind == "steps":
            drawers["runs"] = self._runs
        if self.location.channel is not None:
            drawers |= {"head": self._head, "messages": self._messages}
            asides = {"thread": self._thread, "details": self._details, "comments": self._comments}
            if self.location.aside:
                drawers[self.location.aside] = asides[self.location.aside]
        return drawers

    def page(self, template: str, **context: Any) -> str:
        return self._render(template, **self._frame(), **context)

    def _render(self, template: str, **context: Any) -> str:
        return self._env.get_template(template).render(directory=self.directory, **context)

    def _frame(self) -> dict[str, Any]:
        people = [self.directory.author(p) for p in self.workspace.people() if not p.is_bot]
        return {
            "team": self.workspace.team_name,
            "me": self.directory.author(self.workspace.person(self.viewer)),
            "cast": sorted(people, key=lambda p: (p.deactivated, p.name)),
            "regions": self.regions(),
            "commands": self.commands(),
            "shortcuts": self.shortcuts("global"),
            "all_shortcuts": self.shortcuts("global") + self.shortcuts("message"),
        }

    # what apps offer

    def commands(self) -> list[dict[str, str]]:
        return [
            {
                "command": command.name,
                "usage_hint": command.usage_hint,
                "description": command.description,
                "app": app.name,
            }
            for app in self.workspace.apps()
            for command in app.manifest.commands
        ]

    def shortcuts(self, kind: str) -> list[dict[str, Any]]:
        return [
            {
                "name": shortcut.name,
                "callback_id": shortcut.callback_id,
                "description": shortcut.description,
                "app": app.name,
            }
            for app in self.workspace.apps()
            for shortcut in app.manifest.shortcuts
            if shortcut.type == kind
        ]

    # regions

    def _sidebar(self) -> str:
        channels = self.workspace.channels_for(self.viewer)
        guest = self.workspace.person(self.viewer).is_guest
        return self._render(
            "region_sidebar.html",
            channels=[self._row(c) for c in channels if not c.is_direct],
            directs=[self._row(c) for c in channels if c.is_direct],
            apps=[self._app_row(app) for app in self.workspace.apps()],
            may_browse=not guest,
        )

    def _row(self, channel: Channel) -> dict[str, Any]:
        here = self.location.channel is not None and self.location.channel.id == channel.id
        return {
            "id": channel.id,
            "label": self.directory.channel_label(channel),
            "sign": self.directory.sign(channel),
            "unread": self.workspace.unread(self.viewer, channel.id),
            "mentions": self.workspace.mentions(self.viewer, channel.id),
            "current": here,
        }

    def _app_row(self, app: InstalledApp) -> dict[str, Any]:
        here = self.location.kind == "home" and self.location.app_id == app.app_id
        tab = "" if app.manifest.home_tab else "/about"
        return {"name": app.name, "url": f"/home/{app.app_id}{tab}", "current": here}

    def channel_facts(self, channel: Channel) -> dict[str, Any]:
        return {
            "id": channel.id,
            "label": self.directory.channel_label(channel),
            "sign": "" if channel.is_direct else self.directory.sign(channel),
            "archived": channel.archived,
            "topic": channel.topic,
            "topic_text": plain_of(parse_mrkdwn(channel.topic)),
            "purpose": channel.purpose,
            "member_count": len(channel.members),
            "joined": self.viewer in channel.members,
            "bookmarks": channel.bookmarks,
            "pin_count": len(channel.pins),
            "canvas": self._canvas(channel),
        }

    def _canvas(self, channel: Channel) -> dict[str, str] | None:
        canvas = self.workspace.files.canvas_of(channel.id)
        address = f"/docs/{self.workspace.state.team.id}/"
        return None if canvas is None else {"title": canvas.title, "url": f"{address}{canvas.id}"}

    def _here(self) -> Channel:
        assert self.location.channel is not None
        return self.location.channel

    def _cards(self, prefix: str = "m-") -> Cards:
        return Cards(self.directory, self._here(), self.workspace.clock.date(), prefix)

    def _head(self) -> str:
        return self._render("region_head.html", channel=self.channel_facts(self._here()))

    def _messages(self) -> str:
        channel = self._here()
        history = self.workspace.history(channel.id, self.viewer)
        shown = self.location.shown
        more = len(history) > shown
        return self._render(
            "region_messages.html",
            channel=self.channel_facts(channel),
            messages=self._cards().listed(history[-shown:], threads=True),
            menu=self.menu,
            intro="" if more else self._intro(channel),
            earlier=2 * shown if more else 0,
        )

    def message_menu(self, message: Message) -> str:
        """Return the HTML of a message's menu, which the page loads when the user opens it."""
        card = self._cards().card(message, threads=False)
        return self._render("message_menu.html", m=card, menu=self.menu)

    def _intro(self, channel: Channel) -> str:
        if channel.is_direct:
            return "This is the beginning of your conversation."
        if channel.purpose:
            return plain_of(parse_mrkdwn(channel.purpose))
        return "This is the very beginning of the channel."

    def _thread(self) -> str:
        ts, cards = self.location.thread_ts, self._cards("t-")
        thread = self.workspace.replies(self._here().id, ts, self.viewer)
        parent = cards.card(thread[0], threads=False) if thread and thread[0].ts == ts else None
        replies = cards.listed(thread[1:], threads=False) if parent is not None else []
        here, assistants = self._here(), self.workspace.assistant_threads
        beside = assistants.find(here.id, ts)
        return self._render(
            "region_thread.html",
            parent=parent,
            messages=replies,
            menu=self.menu,
            say=f"/client/{here.id}/say",
            thread_ts=ts,
            status=assistants.status_line(here.id, ts),
            prompts=beside.prompts if beside is not None else [],
            prompts_title=beside.prompts_title if beside is not None else "",
        )

    def _comments(self) -> str:
        look, here, ts = self.location.comments, self._here(), self.location.thread_ts
        cards = self._cards("c-")
        return self._render(
            "region_comments.html",
            look=look,
            answered=look is not None and look.answered.is_set(),
            comments=[cards.comment(one) for one in look.comments] if look is not None else [],
            failed=look.acted[-1].error if look is not None and look.acted else "",
            url=f"/client/{here.id}/comments/{ts}",
        )

    def _details(self) -> str:
        channel, cards = self._here(), self._cards("p-")
        people = {person.id: self.directory.author(person) for person in self.workspace.people()}
        kept = {m.ts: m for m in self.workspace.history(channel.id, self.viewer)}
        return self._render(
            "region_details.html",
            channel=self.channel_facts(channel),
            members=[people[member] for member in channel.members if member in people],
            invitable=[p for p in people.values() if p.id not in channel.members and not p.deactivated],
            pins=[cards.card(kept[ts], threads=False) for ts in channel.pins if ts in kept],
            joined=self.viewer in channel.members,
            direct=channel.is_direct,
        )

    def _told(self) -> str:
        return self._render("region_notices.html", notices=self._notices.of(self.viewer))

    def _runs(self) -> str:
        return self._render("region_runs.html", runs=self.workspace.steps.runs[:20])

    def _home(self) -> str:
        view = self.workspace.home(self.viewer, self.location.app_id)
        app = self.workspace.app(self.location.app_id)
        surface = self._surface(view) if view is not None else None
        return self._render("region_home.html", view=view, surface=surface, app_name=app.name)

    def _layer(self) -> str:
        stack = self.workspace.stack(self.viewer)
        if not stack:
            return ""
        view = stack[-1]
        return self._render(
            "modal.html",
            view=view,
            depth=len(stack),
            surface=self._surface(view),
            app_name=self.workspace.app(view.app_id).name,
            trouble=self._notices.form_errors(view.id).sentence,
        )

    def _surface(self, view: View) -> Surface:
        return Surface(
            prefix=f"{view.id}-",
            press_url=f"/views/{view.id}/press",
            suggest_url=f"/views/{view.id}/suggest",
            rooms=self.directory,
            values=view.values,
            errors=self._notices.form_errors(view.id).errors,
            focus=_focused(view) if view.type == "modal" else "",
        )


def _focused(view: View) -> str:
    """Return the field name of the element with `focus_on_load`, else of the first that takes input."""
    elements = list(elements_of(view.payload["blocks"]))
    takers = [pair for pair in elements if pair[1].get("type") not in _WITHOUT_FOCUS]
    wanted = [pair for pair in elements if pair[1].get("focus_on_load")] + takers
    return field_name(str(wanted[0][0]["block_id"]), str(wanted[0][1]["action_id"])) if wanted else ""


def _marked(name: str, html: str) -> Markup:
    mark = f'<i hidden data-region="{name}" data-digest="{digest(html)}"></i>'
    return Markup(mark + html)  # the templates have escaped it


def changed_regions(regions: dict[str, Markup], have: dict[str, str]) -> str:
    """Return the htmx partials of the regions whose digest differs from the browser's."""
    return "".join(
        f'<hx-partial hx-target="#{name}" hx-swap="innerMorph">{html}</hx-partial>'
        for name, html in regions.items()
        if f'data-digest="{have.get(name, "")}"' not in html
    )
