"""Gradio: two language models and a picture, in a generator that ends with Stop and the tab."""

import html
import os
from collections.abc import AsyncIterator
from typing import Any

import gradio as gr

import rxfal
from rxfal import operators as ops


def text(model: str, prompt: str) -> rxfal.Stream[str]:
    return rxfal.stream(model, {"prompt": prompt}).pipe(ops.text(), ops.throttle_latest(0.1))


async def answer(prompt: str) -> AsyncIterator[dict[Any, str]]:
    llm, bard = text("fal-ai/any-llm", prompt), text("rxfal/bard", prompt)
    passes = rxfal.stream("fal-ai/fast-julia", {"prompt": prompt})
    pictures = passes.map(lambda event: f'<img src="{event["images"][0]["url"]}">')
    answers = rxfal.merge(llm=llm, bard=bard, picture=pictures, errors="items")
    async for place, value in answers:
        if isinstance(value, Exception):
            message = f"Failed: {value}"
            value = html.escape(message) if place == "picture" else message
        yield {places[place]: value}


with gr.Blocks(title="rxfal and Gradio") as demo:
    prompt = gr.Textbox("a lighthouse in a storm", label="Prompt")
    with gr.Row():
        start, stop = gr.Button("Start", variant="primary"), gr.Button("Stop")
    with gr.Row():
        places = {
            "llm": gr.Textbox(label="any-llm", lines=10),
            "bard": gr.Textbox(label="bard", lines=10),
            "picture": gr.HTML(),
        }
    running = start.click(answer, prompt, list(places.values()), concurrency_limit=None)
    stop.click(None, cancels=running)

if __name__ == "__main__":
    port = int(os.environ.get("PORT", "8700"))
    demo.launch(server_name="127.0.0.1", server_port=port, inbrowser=False)
