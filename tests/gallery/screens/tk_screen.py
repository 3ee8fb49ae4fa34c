"""The Tk example in a window, on the display of `DISPLAY`."""

import tkinter as tk
from collections.abc import Iterator
from tkinter import ttk

from commands import answer, background_readers, example
from PIL import ImageGrab
from window_commands import obey

window = example("tk_app").Window()


def widgets(kind: type[tk.Misc], parent: tk.Misc = window) -> Iterator[tk.Misc]:
    for child in parent.winfo_children():
        if isinstance(child, kind):
            yield child
        yield from widgets(kind, child)


def run(command: list[str] | None) -> None:
    match command:
        case ["press", name]:
            next(button for button in widgets(ttk.Button) if button["text"] == name).invoke()
            answer()
        case ["read"]:
            labels = list(widgets(ttk.Label))
            pictures = [str(label["image"][0]) for label in labels if label["image"]]
            answer({"text": "\n".join(label["text"] for label in labels), "picture": "".join(pictures)})
        case ["save", path]:
            window.update()
            x, y = window.winfo_rootx(), window.winfo_rooty()
            box = (x, y, x + window.winfo_width(), y + window.winfo_height())
            ImageGrab.grab(box, xdisplay="").save(path, optimize=True)
            answer()
        case _:
            window.destroy()


def look() -> None:
    window.after(10, look)
    obey(run)


look()
window.mainloop()
answer(background_readers())
