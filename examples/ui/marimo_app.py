"""marimo: two language models and a picture. An `async for` in a cell ends when the cell does."""

import marimo

app = marimo.App(width="medium")


@app.cell
def _():
    import marimo as mo

    import rxfal
    from rxfal import operators as ops

    return mo, ops, rxfal


@app.cell
def _(mo):
    prompt = mo.ui.text("a lighthouse in a storm", label="Prompt")
    start = mo.ui.run_button(label="Start")
    mo.hstack([prompt, start], justify="start")
    return prompt, start


@app.cell
async def _(mo, ops, prompt, rxfal, start):
    mo.stop(not start.value)

    def text(model):
        stream = rxfal.stream(model, {"prompt": prompt.value})
        return stream.pipe(ops.text(), ops.throttle_latest(0.1))

    passes = rxfal.stream("fal-ai/fast-julia", {"prompt": prompt.value})
    answers = rxfal.merge(
        llm=text("fal-ai/any-llm"),
        bard=text("rxfal/bard"),
        picture=passes.map(lambda event: event["images"][0]["url"]),
        errors="items",
    )
    shown = {"llm": "", "bard": "", "picture": ""}
    async for place, value in answers:
        if isinstance(value, Exception):
            shown[place] = mo.callout(str(value), kind="danger")
        else:
            shown[place] = mo.image(value) if place == "picture" else mo.md(value)
        mo.output.replace(mo.hstack(shown.values(), widths="equal"))
    return (shown,)


if __name__ == "__main__":
    app.run()
