"""marimo: two language models and a picture, for as long as the visitor's kernel lives."""

import marimo

app = marimo.App(width="medium")


@app.cell
def _():
    import marimo as mo
    from reactivex.disposable import SerialDisposable

    import rxfal
    from rxfal import operators as ops

    running = SerialDisposable()  # holds one subscription; the next one ends it
    shown, set_shown = mo.state({"llm": "", "bard": "", "picture": ""})
    return mo, ops, running, rxfal, set_shown, shown


@app.cell
def _(mo, ops, running, rxfal, set_shown):
    running.disposable = None  # when this cell runs anew

    def text(model):
        stream = rxfal.stream(model, {"prompt": prompt.value})
        return stream.pipe(ops.text(), ops.throttle_latest(0.1))

    def on_start(_):
        llm, bard = text("fal-ai/any-llm"), text("rxfal/bard")
        passes = rxfal.stream("fal-ai/fast-julia", {"prompt": prompt.value})
        picture = passes.map(lambda event: mo.image(event["images"][0]["url"]))
        answers = rxfal.merge(llm=llm, bard=bard, picture=picture, errors="items")
        running.disposable = answers.subscribe(show)

    def show(answer):
        value = f"Failed: {answer.error}" if answer.error else answer.value
        set_shown(lambda before: {**before, answer.tag: value})

    def on_stop(_):
        running.disposable = None

    prompt = mo.ui.text("a lighthouse in a storm", label="Prompt")
    start, stop = (
        mo.ui.button(label="Start", on_click=on_start),
        mo.ui.button(label="Stop", on_click=on_stop),
    )
    mo.hstack([prompt, start, stop], justify="start")
    return


@app.cell
def _(mo, shown):
    mo.hstack(shown().values(), widths="equal").style(white_space="pre-line")
    return


if __name__ == "__main__":
    app.run()
