"""How far a model's stream has come: what the demo keeps for each model."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

from reactivex import Notification
from reactivex.notification import OnError, OnNext

__all__ = ["Progress"]


@dataclass(frozen=True, slots=True)
class Progress:
    """A model's stream after so many events.

    Attributes:
        content: What the newest event holds: the text so far, or the data URI of a picture.
        events: How many events there were.
        first: Seconds until the first event.
        elapsed: Seconds until the newest event, or until the end.
        ended: Whether the stream has ended.
        error: The error that ended it, if any.

    Examples:
        >>> progress = Progress().after(OnNext("Hel")).after(OnNext("Hello"))
        >>> progress.content, progress.events, progress.ended
        ('Hello', 2, False)
    """

    content: str = ""
    events: int = 0
    first: float | None = None
    elapsed: float = 0.0
    ended: bool = False
    error: Exception | None = None
    began: float = field(default_factory=time.perf_counter)

    def after(self, notification: Notification[str]) -> Progress:
        """The progress after one more notification from the stream."""
        elapsed = time.perf_counter() - self.began
        match notification:
            case OnNext(value=content):
                first = elapsed if self.first is None else self.first
                return replace(self, content=content, events=self.events + 1, first=first, elapsed=elapsed)
            case OnError(exception=error):
                return replace(self, elapsed=elapsed, ended=True, error=error)
            case _:
                return replace(self, elapsed=elapsed, ended=True)

    @property
    def is_picture(self) -> bool:
        return self.content.startswith("data:image/")

    @property
    def rate(self) -> str:
        """Tokens per second, or the size of a picture."""
        if self.is_picture:
            return f"{len(self.content) / 1024:.0f} kB"
        if self.first is None or self.elapsed <= self.first:
            return ""
        return f"{(self.events - 1) / (self.elapsed - self.first):.0f} tokens/s"
