"""What rxfal's own operators add to the cost of an event, beside reactivex's versions of the same.

A source on the event loop emits small items, a hundred to a turn of the loop, as a reader does with its chunks. Each
pipeline's figure is its processor time less the bare source's, per event; the best of several interleaved passes.
Both sides run their timers on the event loop: by itself, reactivex would start a thread for each.
`python -m benchmarks.operators`
"""

import asyncio
import gc
import random
import time
from collections.abc import Callable
from typing import Any

import reactivex as rx
from reactivex import Observable
from reactivex import operators as rx_ops

from benchmarks._report import report
from rxfal import operators as ops
from rxfal.reactive.reader import Sink
from rxfal.reactive.stream import create

EVENTS = 100_000
PER_TURN = 100
PASSES = 5

Operator = Callable[[Observable[Any]], Observable[Any]]


def pipeline(o: Any) -> Operator:
    steps = o.timeout(60), o.map(_same), o.buffer_with_count(10), o.map(len), o.last()
    return lambda source: source.pipe(*steps)


def _same(value: Any) -> Any:
    return value


CASES: dict[str, tuple[Operator, Operator | None]] = {
    "map": (ops.map(_same), rx_ops.map(_same)),
    "filter": (ops.filter(_same), rx_ops.filter(_same)),
    "timeout(60)": (ops.timeout(60), rx_ops.timeout(60)),
    "buffer(count=10)": (ops.buffer(count=10), rx_ops.buffer_with_count(10)),
    "buffer(seconds=60)": (ops.buffer(seconds=60), rx_ops.buffer_with_time(60)),
    "buffer(count=10, seconds=60)": (ops.buffer(count=10, seconds=60), rx_ops.buffer_with_time_or_count(60, 10)),
    "buffer(boundaries)": (ops.buffer(rx.never()), rx_ops.buffer(rx.never())),
    "throttle_latest(0.1)": (ops.throttle_latest(0.1), rx_ops.throttle_first(0.1)),  # its nearest kin
    "share()": (ops.share(), rx_ops.share()),
    "text()": (ops.text(), None),
    "deltas()": (ops.deltas(), None),
    "timeout, map, buffer, map, last": (pipeline(ops), pipeline(rx_ops)),
}


async def source(sink: Sink[Any]) -> None:
    """The items: growing text in the shape of a language model's events."""
    event = {"output": "", "partial": True}
    for turn in range(EVENTS // PER_TURN):
        event["output"] = "word " * (turn % 20)
        for _ in range(PER_TURN):
            sink.on_next(event)
            if sink.gate.closed:
                await sink.gate.wait()
        await asyncio.sleep(0)


async def seconds(operator: Operator | None) -> float:
    """Processor time of one pass."""
    stream = create(source, name="benchmark")
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    gc.collect()
    begin = time.thread_time()
    (stream.pipe(operator) if operator else stream).subscribe(
        lambda _: None, done.set_exception, lambda: done.set_result(None)
    )
    await done
    return time.thread_time() - begin


async def measure() -> tuple[float, dict[tuple[str, int], float]]:
    """Microseconds per event: of the bare source, and of each pipeline over it, by case and side."""
    bare = float("inf")
    best: dict[tuple[str, int], float] = {}
    pipelines = [(case, side, each) for case, sides in CASES.items() for side, each in enumerate(sides) if each]
    for _ in range(PASSES):
        bare = min(bare, await seconds(None))
        for case, side, operator in random.sample(pipelines, len(pipelines)):
            best[case, side] = min(best.get((case, side), float("inf")), await seconds(operator))
    scale = 1e6 / EVENTS
    return bare * scale, {key: max(0.0, value - bare) * scale for key, value in best.items()}


def run() -> list[dict[str, Any]]:
    """Rows of case, microseconds per event in rxfal and in reactivex, and how many times as much that is."""
    bare, costs = asyncio.run(measure())
    rows: list[dict[str, Any]] = [{"case": "the bare source", "rxfal_us": bare, "reactivex_us": None, "ratio": None}]
    for case in CASES:
        ours, theirs = costs[case, 0], costs.get((case, 1))
        ratio = theirs / ours if theirs is not None and ours else None
        rows.append({"case": case, "rxfal_us": ours, "reactivex_us": theirs, "ratio": ratio})
    return rows


def main() -> None:
    """Run, print and write the results."""
    report("operators", run(), title="operators (microseconds added per event)", events=EVENTS, passes=PASSES)


if __name__ == "__main__":
    main()
