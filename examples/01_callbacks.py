"""Callbacks: what is new in each event is printed the moment it arrives.

`subscribe` sends the request and returns at once; the callbacks are called on rxfal's background thread.
"""

import threading

from _embedded import client_or_demo

from rxfal import operators as ops

finished = threading.Event()


def fail(error: Exception) -> None:
    print("failed:", error)
    finished.set()


def complete() -> None:
    print("\n[completed]")
    finished.set()


with client_or_demo() as client:
    answer = client.stream("fal-ai/any-llm", {"prompt": "why rivers meander"})
    subscription = answer.pipe(ops.deltas()).subscribe(
        on_next=lambda piece: print(piece, end="", flush=True),
        on_error=fail,
        on_completed=complete,
    )
    finished.wait()
    subscription.dispose()  # nothing to do by now; earlier, it would end the request
