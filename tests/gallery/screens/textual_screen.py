"""The Textual example under its pilot."""

import asyncio

from commands import answer, background_readers, command, example
from textual.widgets import Button, Static

from rxfal.reactive.background import open_streams


async def main() -> None:
    app = example("textual_app").GalleryApp()
    async with app.run_test(size=(100, 28)) as pilot:
        while True:
            match await asyncio.to_thread(command):
                case ["press", name]:
                    button = next(button for button in app.query(Button) if str(button.label) == name)
                    await pilot.click(button)
                    answer()
                case ["read"]:
                    shown = {static.id: static.content for static in app.query(Static)}
                    picture = repr(shown.pop("picture")) if "▀" in str(shown["picture"]) else ""
                    answer({"text": "\n".join(map(str, shown.values())), "picture": picture})
                case ["save", path]:
                    await pilot.pause()
                    app.save_screenshot(path)
                    answer()
                case _:
                    break
    await asyncio.sleep(0)
    answer(open_streams(asyncio.get_running_loop()) + background_readers())


asyncio.run(main())
