"""`on_tk` in a real Tk window: `python -m tests.ui.tk_program SCENARIO`."""

from __future__ import annotations

import sys
import threading
import time
import tkinter

from rxfal import operators as ops
from rxfal import ui

from .screen import MANY, Model, Seen, Window, report, reports, still_open, waiting_for

(scenario,) = sys.argv[1:]
root = tkinter.Tk()
window = Window(root.update)
frame = tkinter.Frame(root)
frame.pack()
seen = Seen()
here = {threading.get_ident()}


def timers() -> int:
    return len(root.tk.splitlist(root.tk.call("after", "info")))


if scenario == "shown":
    bound: list[str] = []
    frame.bind("<Destroy>", lambda event: bound.append("still bound"))
    Model(500, pause=0.0002).stream.pipe(ui.on_tk(frame)).subscribe(*seen.callbacks)
    window.until(lambda: seen.ends)
    left = timers()
    frame.destroy()
    in_order = seen.items == list(range(1, 501))
    report(in_order=in_order, ends=seen.ends, here=seen.threads == here, left=left, bound=bound)
elif scenario == "late":
    Model(500).stream.pipe(ui.on_tk(root)).subscribe(*seen.callbacks)
    time.sleep(1.5)
    window.until(lambda: seen.ends)
    report(in_order=seen.items == list(range(1, 501)), ends=seen.ends, here=seen.threads == here)
elif scenario == "full":
    model = Model(None)
    subscription = model.stream.pipe(ui.on_tk(root, buffer_size=8)).subscribe(*seen.callbacks)
    time.sleep(0.3)
    ahead = model.sent
    subscription.dispose()
    report(ahead=ahead)
elif scenario == "flood":
    Model(MANY).stream.pipe(ui.on_tk(root)).subscribe(*seen.callbacks)
    window.until(lambda: seen.ends)
    report(in_order=seen.items == list(range(1, MANY + 1)), longest_turn=window.longest_turn)
elif scenario in ("destroyed", "root destroyed"):
    model = Model(None, pause=0.0002)
    model.stream.pipe(ui.on_tk(frame)).subscribe(*seen.callbacks)
    window.until(lambda: len(seen.items) > 3)
    time.sleep(0.05)  # some wait for Tk
    (frame if scenario == "destroyed" else root).destroy()
    closed, count = model.closed.wait(1.0), len(seen.items)
    if scenario == "destroyed":
        window.a_while()
    report(closed=closed, called_since=len(seen.items) - count, ends=seen.ends, open=still_open())
elif scenario == "destroyed before a timer behind it":
    model = Model(None, pause=0.0002)
    model.stream.pipe(ui.on_tk(frame), ops.timeout(0.1)).subscribe(*seen.callbacks)
    window.until(lambda: len(seen.items) > 3)
    frame.destroy()
    window.a_while()
    report(closed=model.closed.wait(1.0), ends=seen.ends, open=still_open())
elif scenario == "destroyed with a bad cleanup":
    told, shown = reports(), ui.on_tk(frame)
    models = [Model(None, pause=0.0002) for _ in range(3)]
    models[0].stream.pipe(ops.finally_action(lambda: print(1 / 0)), shown).subscribe(*seen.callbacks)
    for model in models[1:]:
        model.stream.pipe(shown).subscribe(*seen.callbacks)
    window.until(lambda: len(seen.items) > 3)
    frame.destroy()
    window.until(lambda: told)
    report(told=told, closed=[model.closed.wait(1.0) for model in models], open=still_open())
elif scenario == "destroyed before the subscription":
    stream = Model(3).stream.pipe(ui.on_tk(frame))
    frame.destroy()
    stream.subscribe(*seen.callbacks)
    window.a_while()
    report(items=seen.items, ends=seen.ends, open=still_open())
elif scenario == "destroyed while someone waits":
    report(outcome=waiting_for(Model(None, pause=0.0002).stream.pipe(ui.on_tk(frame)), root.update, frame.destroy))
elif scenario == "disposed":
    model = Model(None, pause=0.0002)
    subscription = model.stream.pipe(ui.on_tk(frame)).subscribe(*seen.callbacks)
    window.until(lambda: len(seen.items) > 3)
    time.sleep(0.05)
    subscription.dispose()
    count, left = len(seen.items), timers()
    window.a_while()
    report(closed=model.closed.wait(1.0), called_since=len(seen.items) - count, left=left, open=still_open())
elif scenario == "a bad callback":
    told = reports()
    Model(None, pause=0.001).stream.pipe(ui.on_tk(frame)).subscribe(lambda item: item / 0)
    window.until(lambda: told)
    Model(5).stream.pipe(ui.on_tk(frame)).subscribe(*seen.callbacks)
    window.until(lambda: seen.ends)
    report(told=told, next=seen.items, open=still_open())
elif scenario == "wrong arguments":
    errors: list[str] = []
    stream = Model(1).stream.pipe(ui.on_tk(frame))
    stranger = threading.Thread(target=lambda: stream.subscribe(on_error=lambda error: errors.append(str(error))))
    stranger.start()
    stranger.join()
    frame.destroy()
    for widget, every in ((3, 0.015), (root, 0), (root, "often"), (frame, 0.015)):
        try:
            ui.on_tk(widget, every=every)  # type: ignore[arg-type]
        except (TypeError, ValueError, RuntimeError) as error:
            errors.append(f"{type(error).__name__}: {error}")
    report(errors=errors)
