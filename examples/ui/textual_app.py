"""Textual: two language models and a picture. They run in a worker, which ends with the app."""

import base64
import io

from PIL import Image
from rich.text import Text
from textual import work
from textual.app import App, ComposeResult
from textual.containers import Horizontal
from textual.widgets import Button, Input, Static

import rxfal
from rxfal import operators as ops


def text(model: str, prompt: str) -> rxfal.Stream[Text]:
    answer = rxfal.stream(model, {"prompt": prompt})
    return answer.pipe(ops.text(), ops.throttle_latest(1 / 15), ops.map(Text))


def half_blocks(event: dict, side: int = 32) -> Text:
    """A picture as text, with two pixels in each character."""
    _, _, data = event["images"][0]["url"].partition(",")
    image = Image.open(io.BytesIO(base64.b64decode(data)))
    pixels = image.convert("RGB").resize((side, side)).load()
    picture = Text()
    for y in range(0, side, 2):
        for x in range(side):
            colours = ("#{:02x}{:02x}{:02x}".format(*pixels[x, y + row]) for row in (0, 1))
            picture.append("▀", " on ".join(colours))
        picture.append("\n")
    return picture


class GalleryApp(App[None]):
    CSS = "Horizontal { height: auto } Static { width: 1fr; padding: 1 } #picture { width: 34 }"

    def compose(self) -> ComposeResult:
        yield Input("a lighthouse in a storm")
        yield Horizontal(Button("Start", action="app.start"), Button("Stop", action="app.stop"))
        yield Horizontal(Static(id="llm"), Static(id="bard"), Static(id="picture"))

    @work(exclusive=True)  # a second Start ends the first
    async def action_start(self) -> None:
        prompt = self.query_one(Input).value
        llm, bard = text("fal-ai/any-llm", prompt), text("rxfal/bard", prompt)
        picture = rxfal.stream("fal-ai/fast-julia", {"prompt": prompt}).map(half_blocks)
        answers = rxfal.merge(llm=llm, bard=bard, picture=picture, errors="items")
        async for place, value in answers:
            shown = Text(f"Failed: {value}", "red") if isinstance(value, Exception) else value
            self.query_one(f"#{place}", Static).update(shown)

    def action_stop(self) -> None:
        self.workers.cancel_all()


if __name__ == "__main__":
    GalleryApp().run()
