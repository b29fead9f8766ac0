"""`python -m tests.e2e.recording`: films the playground for README, into .github/tocsin.gif.

The pages have emoji: they are drawn where there is a font for them (Debian, fonts-noto-color-emoji).
"""

import asyncio
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from playwright.async_api import expect
from support.browser import PATIENCE, launched, let_in
from support.playground import running_playground
from support.responder import Responder

from e2e.recording.film import Film

GIF = Path(__file__).resolve().parents[3] / ".github" / "tocsin.gif"
SIZE = {"width": 1080, "height": 700}
ALERT = "Checkout p95 above 4 s"


async def from_alert_to_form(ana: Responder, film: Film) -> None:
    await ana.enter("alerts")
    alert = ana.message(ALERT)
    await alert.evaluate("message => message.scrollIntoView({ block: 'center' })")
    await alert.hover()
    await film.hold(2.0, alert)
    await alert.get_by_role("button", name="More actions").click()
    declare = ana.page.get_by_role("button", name="Declare incident").filter(visible=True)
    await expect(declare).to_be_visible()
    await declare.hover()
    await film.hold(1.6, declare)
    await declare.click()
    await expect(ana.button("Declare")).to_be_visible()
    await film.hold(1.6)


async def from_form_to_answer(ana: Responder, film: Film) -> None:
    await ana.field("Name").fill("Checkout is slow")
    await ana.choose("Major")
    await film.hold(1.2, ana.field("Severity"))
    await ana.field("Incident Lead").select_option(label="Ben Okafor")
    await ana.field("Incident Lead").scroll_into_view_if_needed()
    await film.hold(1.2, ana.field("Incident Lead"))
    await ana.button("Declare").hover()
    await film.hold(0.8, ana.button("Declare"))
    await ana.submit()
    link = ana.dialog.get_by_role("link", name="checkout-is-slow").first
    await link.hover()
    await film.hold(2.4, link)
    await ana.close()


async def from_channel_to_close(ana: Responder, film: Film) -> None:
    await ana.row("checkout-is-slow").click()
    await expect(ana.page.locator("#head .topic")).to_contain_text("Checkout is slow")
    await expect(ana.page.locator("#messages")).to_contain_text("has joined the channel")
    await ana.page.mouse.move(0, 0)
    await film.hold(2.6)
    await ana.composer.fill("/incident update Carts time out; a pool of connections is full")
    await film.hold(1.0)
    await ana.composer.press("Enter")
    await expect(ana.message("Carts time out")).to_be_visible()
    await film.hold(1.6)
    await ana.composer.fill("/incident close The pool is larger now")
    await film.hold(1.0)
    await ana.composer.press("Enter")
    await expect(ana.page.locator("#head .topic")).to_contain_text("Closed")
    await film.hold(3.0)


async def film_it() -> Film:
    """Return the film of one person in a playground that has just started."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        playground = await stack.enter_async_context(running_playground(folder))
        browser = await stack.enter_async_context(launched())
        context = await browser.new_context(viewport=SIZE)
        context.set_default_timeout(PATIENCE)
        ana = Responder(await let_in(context, playground.address), await context.new_page())
        film = Film(ana.page)
        for part in (from_alert_to_form, from_form_to_answer, from_channel_to_close):
            await part(ana, film)
        return film


def main() -> int:
    film = asyncio.run(film_it())
    film.save(GIF)
    print(f"{GIF}: {len(film.stills)} stills, {film.seconds:.1f} s, {GIF.stat().st_size // 1024} KB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
