"""An example that is a website, in Chromium: `web_screen.py COMMAND ...` runs the example on a port of its own."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from commands import answer, command
from playwright import sync_api

START_SECONDS = 60.0
PRESS_SECONDS = 2.0


def show(arguments: Sequence[str], path: str = "/", prepare: Callable[[sync_api.Page], None] | None = None) -> None:
    """Run a website and obey the test's commands on a page of it.

    Args:
        arguments: The command that runs the website; in each of them, PORT is replaced by its port.
        path: Of the page.
        prepare: Called with the page once it is there.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [part.replace("PORT", str(port)) for part in arguments],
        env={**os.environ, "PORT": str(port), "GRADIO_ANALYTICS_ENABLED": "False"},
        stdin=subprocess.DEVNULL,
    )
    try:
        _wait_for(server, port)
        with sync_api.sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1000, "height": 560})
            page.goto(f"http://127.0.0.1:{port}{path}")
            if prepare is not None:
                prepare(page)
            page.get_by_role("button", name="Start", exact=True).wait_for()
            while _obeyed(page, command()):
                pass
            browser.close()
    finally:
        server.terminate()
        server.wait()


def _wait_for(server: subprocess.Popen[bytes], port: int) -> None:
    end = time.monotonic() + START_SECONDS
    while server.poll() is None and time.monotonic() < end:
        with socket.socket() as attempt:
            if attempt.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)


def _obeyed(page: sync_api.Page, order: list[str] | None) -> bool:
    match order:
        case ["press", name]:
            button = page.get_by_role("button", name=name, exact=True)
            try:
                button.click(timeout=1000.0 * PRESS_SECONDS)
            except sync_api.TimeoutError:
                if name != "Stop":  # Streamlit has one only while something runs
                    raise
            answer()
        case ["read"]:
            text = page.inner_text("body")
            fields = page.eval_on_selector_all("textarea", "all => all.map(one => one.value)")
            pictures = page.eval_on_selector_all("img", "all => all.map(one => one.src.slice(-300))")
            answer({"text": "\n".join((text, *fields)), "picture": "".join(pictures)})
        case ["save", path]:
            page.eval_on_selector_all("img", "all => all.at(-1)?.scrollIntoView({block: 'nearest'})")
            page.screenshot(path=path)
            answer()
        case ["visit"]:
            assert page.context.browser is not None
            visitor = page.context.browser.new_page()
            visitor.goto(page.url)
            visitor.get_by_role("button", name="Start", exact=True).click()
            answer()
        case ["leave"]:
            page.close()
            answer([])
        case _:
            return False
    return True


if __name__ == "__main__":
    show(sys.argv[1:])
