"""Play a marble diagram: give the operator the sources that are drawn, and note what really happens.

It runs on an event loop whose time is virtual. reactivex's TestScheduler has no iterators and no tasks, which some
operators (`conflate`, `map_concurrent`) are about.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Iterator, Mapping
from contextlib import aclosing, contextmanager, suppress
from typing import Any
from unittest.mock import patch

from reactivex import Observable, abc
from reactivex import operators as rx_ops
from reactivex.disposable import Disposable

from rxfal import from_observable, iterate
from rxfal.reactive.scheduler import LoopScheduler
from tests.marbles.notation import Diagram, Line, Mark


class Broken(Exception):
    """A source's `#`. It is worth another try."""

    retryable = True


class _Selector(selectors.SelectSelector):
    """Lets the time pass where others wait for it."""

    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        self.now += timeout or 0.0
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop on which an hour takes no time."""

    def __init__(self) -> None:
        self._passing = _Selector()
        super().__init__(self._passing)

    def time(self) -> float:
        return self._passing.now


@contextmanager
def virtual_time() -> Iterator[asyncio.Runner]:
    """Run coroutines on such a loop."""
    now = property(lambda scheduler: scheduler.to_datetime(scheduler.loop.time()))  # reactivex's `delay` asks for it
    with patch.object(LoopScheduler, "now", now), asyncio.Runner(loop_factory=VirtualLoop) as runner:
        yield runner


def play(diagram: Diagram, names: Mapping[str, Any]) -> tuple[list[Line], list[Line]]:
    """Return the lines that should be drawn above and below the operator.

    Args:
        diagram: The diagram.
        names: What its expressions may use.
    """

    async def run() -> tuple[list[Line], list[Line]]:
        return await _Play(diagram, names).run()

    with virtual_time() as runner:
        return runner.run(run())


class _Log:
    """A line that is being written."""

    def __init__(self, name: str, begin: int) -> None:
        self.name = name
        self.begin = begin
        self.marks: list[Mark] = []

    @property
    def is_over(self) -> bool:
        return bool(self.marks) and self.marks[-1].symbol in "|#!"


class _Play:
    def __init__(self, diagram: Diagram, names: Mapping[str, Any]) -> None:
        self._diagram = diagram
        self._loop = asyncio.get_running_loop()
        self._sources: list[_Log] = []
        self._results: list[_Log] = []
        streams = {line.name: from_observable(self._source(line.name)) for line in diagram.sources}
        self._names = {**names, **streams}
        self._values: dict[str, Any] = self._evaluated(f"dict({', '.join(diagram.values)})")
        made = self._evaluated(diagram.operator)
        self._stream = streams[""].pipe(made) if "" in streams else made

    async def run(self) -> tuple[list[Line], list[Line]]:
        asking = self._loop.create_task(self._ask()) if self._diagram.asks else None
        for line in self._diagram.results:
            if asking is None:
                self._loop.call_at(line.begin, self._subscribe, line)
        await asyncio.sleep(self._diagram.end - 0.5)
        played = _lines(self._sources), _lines(self._results)
        if asking is not None:
            asking.cancel()
            with suppress(asyncio.CancelledError):
                await asking
        return played

    def _evaluated(self, expression: str) -> Any:
        return eval(expression, dict(self._names))

    def _now(self) -> int:
        return round(self._loop.time())  # some timers are early by a microsecond

    def _source(self, name: str) -> Observable[Any]:
        drawn = [line for line in self._diagram.sources if line.name == name]

        def subscribe(observer: abc.ObserverBase[Any], scheduler: abc.SchedulerBase | None = None) -> Disposable:
            log = _Log(name, self._now())
            self._sources.append(log)
            line = drawn.pop(0) if drawn else Line(name, log.begin, ())

            def happen(mark: Mark) -> None:
                if log.is_over:
                    return
                log.marks.append(mark)
                if mark.symbol == "|":
                    observer.on_completed()
                elif mark.symbol == "#":
                    observer.on_error(Broken())
                else:
                    observer.on_next(self._item(mark.symbol))

            def leave() -> None:
                if not log.is_over:
                    log.marks.append(Mark(self._now(), "!"))

            for mark in line.marks:
                if mark.symbol != "!":
                    self._loop.call_at(mark.time, happen, mark)
            return Disposable(leave)

        return Observable(subscribe)

    def _subscribe(self, line: Line) -> None:
        self._stream.subscribe(*self._written(self._result(line.begin)))

    async def _ask(self) -> None:
        assert self._diagram.asks
        tapped = self._stream.pipe(rx_ops.do_action(*self._written(self._result(0))))
        async with aclosing(iterate(tapped)) as items:
            for time, _ in self._diagram.asks.marks:
                await asyncio.sleep(time - self._loop.time())
                await anext(items, None)
            await asyncio.Event().wait()  # it stays and asks no more

    def _result(self, begin: int) -> _Log:
        self._results.append(log := _Log("", begin))
        return log

    def _written(self, log: _Log) -> tuple[Any, Any, Any]:
        note = lambda symbol: log.marks.append(Mark(self._now(), symbol))
        return lambda item: note(self._symbol(item)), lambda error: note("#"), lambda: note("|")

    def _item(self, symbol: str) -> Any:
        return self._values[symbol] if symbol in self._values else int(symbol) if symbol.isdigit() else symbol

    def _symbol(self, item: Any) -> str:
        for symbol, value in self._values.items():
            if type(value) is type(item) and value == item:
                return symbol
        return str(item) if isinstance(item, int | str) else repr(item)


def _lines(logs: list[_Log]) -> list[Line]:
    return [Line(log.name, log.begin, tuple(log.marks)) for log in logs]
