"""One timeline, played with reactivex's operators and with rxfal's: what comes out, and when, must be the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st
from reactivex import Observable
from reactivex import operators as rx_ops
from reactivex.testing import ReactiveTest, TestScheduler
from reactivex.testing.recorded import Recorded

from rxfal import operators as fal_ops
from rxfal.errors import StreamTimeoutError
from rxfal.reactive.stream import from_observable

on_next = ReactiveTest.on_next
on_error = ReactiveTest.on_error
on_completed = ReactiveTest.on_completed

SUBSCRIBED, DISPOSED = 200, 1000
NEVER_DISPOSED = 9_223_372_036_854_775_807

Message = tuple[float, str, Any]


@dataclass(frozen=True)
class Source:
    """What a test observable will say: at absolute times when hot, after each subscription when cold."""

    kind: str
    messages: list[Recorded[Any]]

    def make(self, scheduler: TestScheduler) -> Any:
        if self.kind == "hot":
            return scheduler.create_hot_observable(list(self.messages))
        return scheduler.create_cold_observable(list(self.messages))


def hot(*messages: Recorded[Any]) -> Source:
    return Source("hot", list(messages))


def cold(*messages: Recorded[Any]) -> Source:
    return Source("cold", list(messages))


STEADY = hot(
    on_next(100, 1),
    on_next(210, 2),
    on_next(240, 3),
    on_next(280, 4),
    on_next(320, 5),
    on_next(350, 6),
    on_next(380, 7),
    on_next(420, 8),
    on_next(470, 9),
    on_completed(600),
)
"""Items 2 to 9, and one before the subscription."""

BROKEN = hot(*STEADY.messages[:-1], on_error(600, "broken"))
"""The same with an error in the place of its end."""


@dataclass(frozen=True)
class Played:
    """What a subscriber saw, as `(time, "next" | "error" | "completed", value)`, and when each source was in use."""

    messages: list[Message]
    subscriptions: list[list[tuple[float, float]]] = field(default_factory=list)

    @property
    def items(self) -> list[tuple[float, Any]]:
        return [(time, value) for time, kind, value in self.messages if kind == "next"]

    @property
    def end(self) -> Message | None:
        return next((message for message in self.messages if message[1] != "next"), None)


Build = Callable[..., Observable[Any]]


def play(
    build: Build, *sources: Source, operators: Any = fal_ops, streams: bool = False, disposed: float = DISPOSED
) -> Played:
    """Subscribe at 200 to what `build(operators, scheduler, *sources)` gives, and leave at `disposed`."""
    scheduler = TestScheduler()
    made = [source.make(scheduler) for source in sources]
    used = [from_observable(source) for source in made] if streams else made
    observer = scheduler.start(lambda: build(operators, scheduler, *used), disposed=disposed)
    subscriptions = [[(each.subscribe, each.unsubscribe) for each in source.subscriptions] for source in made]
    return Played([_message(recorded) for recorded in observer.messages], subscriptions)


def same(build: Build, *sources: Source, disposed: float = DISPOSED) -> Played:
    """Play with reactivex's operators, with rxfal's, and with rxfal's on Streams; all three must be the same."""
    theirs = play(build, *sources, operators=rx_ops, disposed=disposed)
    ours = play(build, *sources, disposed=disposed)
    assert ours == theirs
    assert play(build, *sources, streams=True, disposed=disposed) == theirs
    return ours


def _message(recorded: Recorded[Any]) -> Message:
    notification: Any = recorded.value
    if notification.kind == "N":
        return (recorded.time, "next", notification.value)
    if notification.kind == "C":
        return (recorded.time, "completed", None)
    error = notification.exception
    is_timeout = isinstance(error, StreamTimeoutError) or (type(error) is Exception and str(error) == "Timeout")
    return (recorded.time, "error", "timeout" if is_timeout else str(error))


@st.composite
def sources(draw: st.DrawFn, *, last: int = 60, most: int = 12) -> Source:
    """Any hot or cold source with integer times, ending or not; several items may come at one time."""
    kind = draw(st.sampled_from(["hot", "cold"]))
    start = SUBSCRIBED if kind == "hot" else 0
    times = sorted(draw(st.lists(st.integers(1, last), max_size=most)))
    messages: list[Recorded[Any]] = [on_next(start + time, index) for index, time in enumerate(times)]
    end = draw(st.sampled_from(["completed", "error", "never"]))
    if end != "never":
        at = start + (times[-1] if times else 0) + draw(st.integers(0 if times else 1, 20))
        messages.append(on_completed(at) if end == "completed" else on_error(at, "broken"))
    return Source(kind, messages)
