"""Streamlit: two language models and a picture. Stop, a rerun and a closed tab end the `for`."""

import streamlit as st

import rxfal
from rxfal import operators as ops


def text(model: str, prompt: str) -> rxfal.Stream[str]:
    return rxfal.stream(model, {"prompt": prompt}).pipe(ops.text(), ops.throttle_latest(0.1))


prompt = st.text_input("Prompt", "a lighthouse in a storm")
started = st.button("Start", type="primary")  # Streamlit shows a Stop of its own meanwhile
columns = st.columns(3)
places = {place: column.empty() for place, column in zip(("llm", "bard", "picture"), columns)}
clock = st.empty()

if started:
    llm, bard = text("fal-ai/any-llm", prompt), text("rxfal/bard", prompt)
    passes = rxfal.stream("fal-ai/fast-julia", {"prompt": prompt})
    picture = passes.map(lambda event: event["images"][0]["url"])
    answers = rxfal.merge(llm=llm, bard=bard, picture=picture, errors="items")
    tick = rxfal.Tagged("tick", "Waiting for the models ...")
    for place, value in answers.pipe(ops.keep_alive(0.5, tick)):
        if place == "tick":  # Streamlit can end a script only where that shows something
            clock.caption(value)
        elif isinstance(value, Exception):
            places[place].error(str(value))
        elif place == "picture":
            places[place].image(value)
        else:
            places[place].write(value.replace("\n", "  \n"))
    clock.empty()
