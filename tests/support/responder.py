"""A responder at the screen: what they press and fill to declare, and what they then read."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from playwright.async_api import ConsoleMessage, Locator, Request, expect

from support.browser import Screen, axe_findings


@dataclass
class Responder(Screen):
    """A screen on a workspace with Tocsin in it."""

    strangers: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def expects(self, complaint: str) -> None:
        """Something the browser's console may say on this journey, and rightly so."""
        self.expected.append(complaint)

    def hear(self, message: ConsoleMessage) -> None:
        if not any(known in message.text for known in self.expected):
            super().hear(message)

    def watch(self, request: Request) -> None:
        """Note every request that leaves this machine."""
        parts = urlsplit(request.url)
        if parts.scheme not in {"data", "blob", "about"} and parts.hostname != "127.0.0.1":
            self.strangers.append(request.url)

    async def enter(self, channel: str) -> None:
        """Open a channel by its name."""
        await self.open("/client")
        await self.row(channel).click()
        await expect(self.page.get_by_role("heading", name=channel).first).to_be_visible()
        await self.page.wait_for_load_state("load")

    def row(self, channel: str) -> Locator:
        """The channel in the sidebar."""
        return self.page.get_by_test_id("channel").filter(has_text=channel)

    def field(self, label: str) -> Locator:
        return self.dialog.get_by_label(label)

    async def start_declaring(self, name: str = "") -> None:
        await self.say(f"/incident {name}".rstrip())
        await expect(self.button("Declare")).to_be_visible()

    async def pick(self, message: Locator, action: str) -> None:
        """From a message's menu, by the keyboard: what is said meanwhile moves it away from under a mouse."""
        await message.get_by_role("button", name="More actions").press("Enter")
        await self.page.get_by_role("button", name=action).filter(visible=True).click()

    async def start_declaring_from(self, message: Locator) -> None:
        """By the message shortcut."""
        await self.pick(message, "Declare incident")
        await expect(self.dialog).to_be_visible()

    async def choose(self, severity: str) -> None:
        await self.field("Severity").select_option(label=await self.severity(severity))

    async def severity(self, name: str) -> str:
        """The whole line of a severity, with its description."""
        return await self.field("Severity").locator("option", has_text=name).inner_text()

    async def submit(self) -> str:
        """Declare, and read the reference that the modal then says."""
        await self.button("Declare").click()
        await self.see_declared()
        found = re.search(r"INC-\d+", await self.dialog.inner_text())
        assert found is not None
        return found[0]

    async def see_declared(self) -> None:
        """The modal says so; who has declared so many that they are asked for it says that they are sure."""
        said = self.dialog.get_by_text("is declared", exact=False).first
        sure = self.button("Declare all the same")
        await expect(said.or_(sure)).to_be_visible()
        if await sure.count():
            await sure.press("Enter")
        await expect(said).to_be_visible()

    async def declare(self, name: str, severity: str = "Minor") -> str:
        """The shortest way: command, severity, Declare, Done."""
        await self.start_declaring(name)
        await self.choose(severity)
        reference = await self.submit()
        await self.close()
        return reference

    async def close(self) -> None:
        await self.button("Done").click()
        await expect(self.dialog).to_have_count(0)

    async def leave_no_form(self) -> None:
        """Close every open modal of this person."""
        if await self.dialog.count():
            await self.button("Close dialog").click()
            await expect(self.dialog).to_have_count(0)

    async def serious(self, where: str) -> list[str]:
        """What axe calls serious or critical here."""
        return await axe_findings(self.page, where)
