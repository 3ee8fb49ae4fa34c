"""An example that is a website, in Chromium: `web_screen.py COMMAND ...` runs the example on a port of its own."""

import os
import shutil
import socket
import subprocess
import sys
import time

from commands import answer, command
from playwright import sync_api

START_SECONDS = 60.0
PRESS_SECONDS = 2.0

with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]

server = subprocess.Popen(
    [part.replace("PORT", str(port)) for part in sys.argv[1:]],
    env={**os.environ, "PORT": str(port), "GRADIO_ANALYTICS_ENABLED": "False"},
    stdin=subprocess.DEVNULL,
)
try:
    end = time.monotonic() + START_SECONDS
    while server.poll() is None and time.monotonic() < end:
        with socket.socket() as attempt:
            if attempt.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.05)
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1000, "height": 560})
        page.goto(f"http://127.0.0.1:{port}/")
        page.get_by_role("button", name="Start", exact=True).wait_for()
        while True:
            match command():
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
                    page.screenshot(path=path)
                    answer()
                case ["leave"]:
                    page.close()
                    answer([])
                case _:
                    break
        browser.close()
finally:
    server.terminate()
    server.wait()
