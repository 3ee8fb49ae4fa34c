"""`map_concurrent`: many inputs through one endpoint."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable
from typing import Any, Literal, Unpack, overload

from reactivex import Observable
from typing_extensions import TypeVar

from rxfal.reactive import concurrent
from rxfal.reactive.concurrent import Mapped
from rxfal.reactive.stream import Stream

from .call import StreamCall, StreamOptions
from .connected import Connected, Connections
from .options import show_options
from .stream import decoded

_In = TypeVar("_In")
_Out = TypeVar("_Out")
_Key = TypeVar("_Key", default=None)
_Inputs = Iterable[_In] | AsyncIterable[_In] | Observable[_In]


class ConcurrentVerbs(Connected):
    """The verbs for many inputs."""

    @overload
    def map_concurrent(
        self,
        inputs: _Inputs[_In],
        app: str,
        concurrency: int = 8,
        ordered: bool = False,
        *,
        output: type[_Out],
        key: Callable[[_In], _Key] | None = None,
        errors: Literal["end"] = "end",
        **options: Unpack[StreamOptions],
    ) -> Stream[Mapped[_In, _Out, _Key]]: ...
    @overload
    def map_concurrent(
        self,
        inputs: _Inputs[_In],
        app: str,
        concurrency: int = 8,
        ordered: bool = False,
        *,
        output: type[_Out],
        key: Callable[[_In], _Key] | None = None,
        errors: Literal["items"],
        **options: Unpack[StreamOptions],
    ) -> Stream[Mapped[_In, _Out | None, _Key]]: ...
    @overload
    def map_concurrent(
        self,
        inputs: _Inputs[_In],
        app: str,
        concurrency: int = 8,
        ordered: bool = False,
        *,
        key: Callable[[_In], _Key] | None = None,
        errors: Literal["end", "items"] = "end",
        output: Any = None,
        **options: Unpack[StreamOptions],
    ) -> Stream[Mapped[_In, Any, _Key]]: ...
    @overload
    def map_concurrent(
        self,
        inputs: _Inputs[_In],
        app: None = None,
        concurrency: int = 8,
        ordered: bool = False,
        *,
        call: Callable[[_In], Observable[_Out]],
        key: Callable[[_In], _Key] | None = None,
        errors: Literal["end"] = "end",
    ) -> Stream[Mapped[_In, _Out, _Key]]: ...
    @overload
    def map_concurrent(
        self,
        inputs: _Inputs[_In],
        app: None = None,
        concurrency: int = 8,
        ordered: bool = False,
        *,
        call: Callable[[_In], Observable[_Out]],
        key: Callable[[_In], _Key] | None = None,
        errors: Literal["items"],
    ) -> Stream[Mapped[_In, _Out | None, _Key]]: ...
    @show_options
    def map_concurrent(
        self,
        inputs: Iterable[Any] | AsyncIterable[Any] | Observable[Any],
        app: str | None = None,
        concurrency: int = 8,
        ordered: bool = False,
        *,
        call: Callable[[Any], Observable[Any]] | None = None,
        key: Callable[[Any], Any] | None = None,
        errors: Literal["end", "items"] = "end",
        output: Any = None,
        **options: Unpack[StreamOptions],
    ) -> Stream[Any]:
        """Send many inputs through one endpoint, `concurrency` of them at once, and emit the last event for each.

        An input is read only when there is a free place and the consumer has room, so a file of 100,000 prompts runs in
        bounded memory.

        Marbles:
            a: -------1|
            b: --2|
            c:    --3|
               > map_concurrent([a, b, c], call=lambda s: s, concurrency=2)
               ---y--z-(x|)
            x = Mapped(a, 1), y = Mapped(b, 2), z = Mapped(c, 3)

        - *Emits when* a call has completed; with `ordered`, when those of all earlier inputs have too.
        - *Pauses when* the consumer is full. No input is read then; running calls go on.
        - *Ends when* the inputs have ended and every call has, or at the first error with `errors="end"`.
        - *Cancels when* disposed. That cancels the running calls, and so does the first error with `errors="end"`.

        Args:
            inputs: An iterable, an async iterable or an Observable of the model's inputs. An iterator (a generator, a
                file) can be read by one subscription only.

            app: As for `stream`; or None, with `call`.
            concurrency: How many calls may run at once.
            ordered: Whether results keep the order of their inputs. If not, each comes as soon as it is there.
            call: Instead of `app`: a function from an input to an Observable, whose last item is the result. That gives
                each input its own pipeline, such as `rxfal.stream(...).pipe(ops.text(), ops.timeout(5))`.
            key: A function from an input to something that identifies its result, such as the row's id. If it raises,
                that counts as an error in the inputs.
            errors: With `"end"`, the first error ends the stream and cancels the other calls. With `"items"`, an error
                is a result. If reading the inputs fails, the calls under way still finish, and then that error comes.
            output: As for `stream`; only with `app`.
            options: As for `stream`; only with `app`.

        Returns:
            A cold Stream of `Mapped(input, value, error, key)`.

        Raises:
            EndpointError: rxfal may not call this id or URL.
            TypeError, ValueError: The inputs or an option make no sense, `app` and `call` were both given or both left
                out, or options of `stream` were given with `call`.

        Examples:
            >>> from rxfal.testing import FalServer
            >>> with FalServer(models=True, pace=0) as server, server.client() as client:
            ...     prompts = ({"prompt": f"a haiku about {subject}"} for subject in ("rain", "tea"))
            ...     results = list(client.map_concurrent(prompts, "fal-ai/any-llm", ordered=True))
            >>> [result.input["prompt"] for result in results]
            ['a haiku about rain', 'a haiku about tea']
        """
        if call is None and app is not None:
            call = _caller(self._connections, app, output, options)
        elif call is None or app is not None:
            raise TypeError("map_concurrent takes an app, or call=: one of the two")
        elif options or output is not None:
            names = [*options] if output is None else ["output", *options]
            raise TypeError(f"{', '.join(names)}: an option of the requests, which call= makes itself")
        name = "map_concurrent" if app is None else f"map_concurrent {app}"
        return concurrent.map_concurrent(inputs, call, concurrency, ordered, key=key, errors=errors, name=name)


def _caller(
    connections: Callable[[], Connections], app: str, output: Any, options: StreamOptions
) -> Callable[[Any], Stream[Any]]:
    def call(item: Any) -> Stream[Any]:
        return decoded(StreamCall(connections(), app, item, options), output)

    call(None)  # so that what is wrong with the options is said now
    return call
