"""`map_concurrent`: many inputs through one endpoint."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable
from typing import Any, Literal, TypeVar, Unpack, overload

from reactivex import Observable

from rxfal.reactive import concurrent
from rxfal.reactive.concurrent import Mapped
from rxfal.reactive.stream import Stream

from .call import StreamCall, StreamOptions
from .connected import Connected
from .options import show_options
from .stream import decoded

_T = TypeVar("_T")
_In = TypeVar("_In")


class ConcurrentVerbs(Connected):
    """The verbs for many inputs."""

    @overload
    def map_concurrent(
        self,
        inputs: Iterable[_In] | AsyncIterable[_In] | Observable[_In],
        app: str,
        concurrency: int = 8,
        ordered: bool = False,
        *,
        errors: Literal["end", "items"] = "end",
        output: type[_T],
        **options: Unpack[StreamOptions],
    ) -> Stream[Mapped[_In, _T]]: ...
    @overload
    def map_concurrent(
        self,
        inputs: Iterable[_In] | AsyncIterable[_In] | Observable[_In],
        app: str,
        concurrency: int = 8,
        ordered: bool = False,
        *,
        errors: Literal["end", "items"] = "end",
        output: Any = None,
        **options: Unpack[StreamOptions],
    ) -> Stream[Mapped[_In, Any]]: ...
    @show_options
    def map_concurrent(
        self,
        inputs: Iterable[Any] | AsyncIterable[Any] | Observable[Any],
        app: str,
        concurrency: int = 8,
        ordered: bool = False,
        *,
        errors: Literal["end", "items"] = "end",
        output: Any = None,
        **options: Unpack[StreamOptions],
    ) -> Stream[Mapped[Any, Any]]:
        """Many inputs through one endpoint, `concurrency` of them at once: the last event for each.

        An input is read when a place is free and the consumer has room, not before: a file of 100,000 prompts runs in
        bounded memory.

        Args:
            inputs: An iterable, an async iterable or an Observable of the model's inputs. An iterator (a generator, a
                file) can be read by one subscription only.
            app: As for `stream`.
            concurrency: How many requests are under way at once.
            ordered: Whether results keep the order of their inputs; else each comes when it is there.
            errors: `"end"`: the first error ends the stream and the other requests; `"items"`: an error is a result.
            output: As for `stream`.
            options: As for `stream`.

        Returns:
            A cold Stream of `Mapped(input, value, error)`.

        Raises:
            EndpointError: For an id or URL that no request may go to.
            TypeError, ValueError: For inputs or an option that make no sense.

        Examples:
            >>> from rxfal.testing import FalServer
            >>> with FalServer(models=True, pace=0) as server, server.client() as client:
            ...     prompts = ({"prompt": f"a haiku about {subject}"} for subject in ("rain", "tea"))
            ...     results = list(client.map_concurrent(prompts, "fal-ai/any-llm", ordered=True))
            >>> [result.input["prompt"] for result in results]
            ['a haiku about rain', 'a haiku about tea']
        """

        def call(item: Any) -> Stream[Any]:
            return decoded(StreamCall(self._connections(), app, item, options), output)

        call(None)  # so that what is wrong with the options is said now
        return concurrent.map_concurrent(
            inputs,
            call,
            concurrency,
            ordered,
            errors=errors,
            name=f"map_concurrent {app}",
        )
