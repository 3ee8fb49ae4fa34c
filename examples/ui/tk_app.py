"""Tk: two language models and a picture, for as long as the window lives: `on_tk` sees to it."""

import tkinter as tk
from tkinter import ttk

from reactivex.disposable import SerialDisposable

import rxfal
from rxfal import operators as ops
from rxfal import ui


def text(model: str, prompt: str) -> rxfal.Stream[str]:
    return rxfal.stream(model, {"prompt": prompt}).pipe(ops.text(), ops.throttle_latest(1 / 30))


class Window(tk.Tk):
    def __init__(self) -> None:
        super().__init__(className="Rxfal and Tk")
        self.running = SerialDisposable()  # holds one subscription; the next one ends it
        self.prompt = ttk.Entry(self)
        self.prompt.insert(0, "a lighthouse in a storm")
        self.prompt.grid(row=0, column=0, sticky="ew", padx=8, pady=8)
        ttk.Button(self, text="Start", command=self.start).grid(
            row=0, column=1, sticky="ew", padx=8
        )
        ttk.Button(self, text="Stop", command=self.stop).grid(
            row=0, column=2, sticky="ew", padx=8
        )
        self.places: dict[str, ttk.Label] = {}
        for column, name in enumerate(("llm", "bard", "picture")):
            self.columnconfigure(column, minsize=280)
            self.places[name] = ttk.Label(self, wraplength=260)
            self.places[name].grid(row=1, column=column, sticky="nw", padx=8, pady=8)

    def start(self) -> None:
        prompt = self.prompt.get()
        llm, bard = text("fal-ai/any-llm", prompt), text("rxfal/bard", prompt)
        passes = rxfal.stream("fal-ai/fast-julia", {"prompt": prompt})
        picture = passes.map(lambda event: event["images"][0]["url"])
        answers = rxfal.merge(llm=llm, bard=bard, picture=picture, errors="items")
        self.running.disposable = answers.pipe(ui.on_tk(self)).subscribe(self.show)

    def show(self, answer: rxfal.Tagged[str | Exception]) -> None:
        label = self.places[answer.tag]
        if answer.tag == "picture" and not answer.error:
            # kept, or Tk shows none
            label.picture = tk.PhotoImage(data=answer.value.partition(",")[2])
            label.configure(image=label.picture, text="")
        else:
            label.configure(text=str(answer.value), image="")

    def stop(self) -> None:
        self.running.disposable = None


if __name__ == "__main__":
    Window().mainloop()
