"""The logs of a request in the queue: each once, however often the server repeats them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from rxfal.wire.queue import Status

from .updates import RequestLog

__all__ = ["LogBook", "logs_in"]


class LogBook:
    """All logs of a request, each once, however often the server repeats them.

    Equal entries within one answer are so many logs. An entry that an earlier answer had is a repetition. So each is
    there as often as in the answer that has it most often.
    """

    def __init__(self) -> None:
        self.all: list[RequestLog] = []
        self._known: Counter[str] = Counter()

    def new_in(self, answer: Iterable[Any]) -> tuple[RequestLog, ...]:
        """Take the logs of one answer, and return those that are new."""
        return tuple(self._new_in(answer))

    def _new_in(self, answer: Iterable[Any]) -> Iterator[RequestLog]:
        counted: Counter[str] = Counter()
        for entry in answer:
            if entry is None:
                continue
            key = _key(entry)
            counted[key] += 1
            if counted[key] > self._known[key]:
                self._known[key] = counted[key]
                log = RequestLog.read(entry)
                self.all.append(log)
                yield log


def _key(entry: Any) -> str:
    """The same text for equal entries."""
    try:
        return json.dumps(entry, sort_keys=True)
    except (RecursionError, ValueError):
        return f"{type(entry).__name__} too deep to tell apart"


def logs_in(status: Status) -> tuple[RequestLog, ...]:
    """The logs of one status."""
    return LogBook().new_in(status.logs)
