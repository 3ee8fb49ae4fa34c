"""NiceGUI: two language models and a picture for each visitor, until the visitor leaves."""

import os

from nicegui import context, ui
from reactivex.disposable import SerialDisposable

import rxfal
from rxfal import operators as ops


def text(model: str, prompt: str) -> rxfal.Stream[str]:
    return rxfal.stream(model, {"prompt": prompt}).pipe(ops.text(), ops.throttle_latest(1 / 15))


@ui.page("/")
def page() -> None:
    running = SerialDisposable()  # holds one subscription; the next one ends it
    context.client.on_delete(running.dispose)  # when the visitor has left

    def start() -> None:
        for label in places.values():
            label.set_text("")
        llm, bard = text("fal-ai/any-llm", prompt.value), text("rxfal/bard", prompt.value)
        passes = rxfal.stream("fal-ai/fast-julia", {"prompt": prompt.value})
        pictures = passes.map(lambda event: event["images"][0]["url"])
        answers = rxfal.merge(llm=llm, bard=bard, picture=pictures, errors="items")
        running.disposable = answers.subscribe(show)

    def show(answer: rxfal.Tagged[str | Exception]) -> None:
        if answer.tag == "picture" and not answer.error:
            picture.set_source(answer.value)
        else:
            places[answer.tag].set_text(str(answer.value))

    def stop() -> None:
        running.disposable = None

    prompt = ui.input("Prompt", value="a lighthouse in a storm").classes("w-full")
    with ui.row():
        ui.button("Start", on_click=start).props("no-caps")
        ui.button("Stop", on_click=stop).props("no-caps outline")
    with ui.grid(columns=3).classes("w-full"):
        places = {"llm": ui.label(), "bard": ui.label().style("white-space: pre-line")}
        with ui.column():
            picture = ui.image().style("max-width: 256px")
            places["picture"] = ui.label()


ui.run(
    host="127.0.0.1",
    port=int(os.environ.get("PORT", "8700")),
    title="rxfal and NiceGUI",
    reconnect_timeout=1.0,  # seconds after which a closed tab counts as left
    reload=False,
    show=False,
)
