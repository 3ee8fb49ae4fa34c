"""`on_qt` in a real Qt application: `python -m tests.ui.qt_program BINDING SCENARIO`."""

from __future__ import annotations

import importlib
import sys
import threading
import time
from typing import Any

import reactivex as rx

from rxfal import from_observable, ui
from rxfal import operators as ops

from .screen import MANY, Model, Seen, Window, report, reports, still_open, waiting_for

binding, scenario = sys.argv[1:]
if scenario == "without an application":
    importlib.import_module(f"{binding}.QtCore")
    try:
        ui.on_qt()
    except RuntimeError as error:
        report(error=str(error))
    sys.exit()

widgets: Any = importlib.import_module(f"{binding}.QtWidgets")
core: Any = importlib.import_module(f"{binding}.QtCore")
application = widgets.QApplication([])
window = Window(application.processEvents)
label = widgets.QLabel()
seen = Seen()
here = {threading.get_ident()}


def destroy() -> None:
    global label
    label.deleteLater()
    label = None
    kind = core.QEvent.Type.DeferredDelete
    core.QCoreApplication.sendPostedEvents(None, kind.value if binding == "PyQt6" else kind)


if scenario == "shown":
    children = len(label.children())
    Model(500, pause=0.0002).stream.pipe(ui.on_qt(label)).subscribe(*seen.callbacks)
    window.until(lambda: seen.ends)
    in_order = seen.items == list(range(1, 501))
    report(in_order=in_order, ends=seen.ends, here=seen.threads == here, left=len(label.children()) - children)
elif scenario == "late and without an owner":
    Model(500).stream.pipe(ui.on_qt()).subscribe(*seen.callbacks)
    time.sleep(1.5)
    window.until(lambda: seen.ends)
    report(in_order=seen.items == list(range(1, 501)), ends=seen.ends, here=seen.threads == here)
elif scenario == "full":
    model = Model(None)
    subscription = model.stream.pipe(ui.on_qt(label, buffer_size=8)).subscribe(*seen.callbacks)
    time.sleep(0.3)
    ahead = model.sent
    subscription.dispose()
    report(ahead=ahead)
elif scenario == "flood":
    Model(MANY).stream.pipe(ui.on_qt(label)).subscribe(*seen.callbacks)
    window.until(lambda: seen.ends)
    report(in_order=seen.items == list(range(1, MANY + 1)), longest_turn=window.longest_turn)
elif scenario == "destroyed":
    model = Model(None, pause=0.0002)
    model.stream.pipe(ui.on_qt(label)).subscribe(*seen.callbacks)
    window.until(lambda: len(seen.items) > 3)
    time.sleep(0.05)  # some wait for Qt
    destroy()
    closed, count = model.closed.wait(1.0), len(seen.items)
    window.a_while()
    report(closed=closed, called_since=len(seen.items) - count, ends=seen.ends, open=still_open())
elif scenario == "destroyed before a timer behind it":
    model = Model(None, pause=0.0002)
    model.stream.pipe(ui.on_qt(label), ops.timeout(0.1)).subscribe(*seen.callbacks)
    window.until(lambda: len(seen.items) > 3)
    destroy()
    window.a_while()
    report(closed=model.closed.wait(1.0), ends=seen.ends, open=still_open())
elif scenario == "destroyed with a bad cleanup":
    told, shown = reports(), ui.on_qt(label)
    models = [Model(None, pause=0.0002) for _ in range(3)]
    models[0].stream.pipe(ops.finally_action(lambda: print(1 / 0)), shown).subscribe(*seen.callbacks)
    for model in models[1:]:
        model.stream.pipe(shown).subscribe(*seen.callbacks)
    window.until(lambda: len(seen.items) > 3)
    destroy()
    window.until(lambda: told)
    report(told=told, closed=[model.closed.wait(1.0) for model in models], open=still_open())
elif scenario == "destroyed before the subscription":
    stream = Model(3).stream.pipe(ui.on_qt(label))
    destroy()
    stream.subscribe(*seen.callbacks)
    window.a_while()
    report(items=seen.items, ends=seen.ends, open=still_open())
elif scenario == "destroyed while someone waits":
    report(
        outcome=waiting_for(Model(None, pause=0.0002).stream.pipe(ui.on_qt(label)), application.processEvents, destroy)
    )
elif scenario == "disposed":
    model = Model(None, pause=0.0002)
    subscription = model.stream.pipe(ui.on_qt(label)).subscribe(*seen.callbacks)
    window.until(lambda: len(seen.items) > 3)
    time.sleep(0.05)
    subscription.dispose()
    count = len(seen.items)
    window.a_while()
    report(closed=model.closed.wait(1.0), called_since=len(seen.items) - count, ends=seen.ends, open=still_open())
elif scenario == "a bad callback":
    told = reports()
    Model(None, pause=0.001).stream.pipe(ui.on_qt(label)).subscribe(lambda item: item / 0)
    window.until(lambda: told)
    Model(5).stream.pipe(ui.on_qt(label)).subscribe(*seen.callbacks)
    window.until(lambda: seen.ends)
    report(told=told, next=seen.items, open=still_open())
elif scenario == "without an owner from another thread":
    stranger = threading.Thread(target=lambda: Model(5).stream.pipe(ui.on_qt()).subscribe(*seen.callbacks))
    stranger.start()
    stranger.join()
    window.until(lambda: seen.ends, 2.0)
    report(items=seen.items, here=seen.threads == here)
elif scenario == "subscribed to again from another thread":
    failing = from_observable(rx.defer(lambda _: Model(3).stream.do_action(lambda item: 1 / (item - 3))))
    again = ops.retry_backoff(2, on=ZeroDivisionError, wait_initial=0.0, wait_jitter=0.0, after_items=True)
    failing.pipe(ui.on_qt(label), again).subscribe(*seen.callbacks)
    window.until(lambda: seen.ends)
    report(items=seen.items, ends=seen.ends, here=seen.threads == here)
