"""The options of verbs, each spelled once: in a TypedDict whose fields carry their defaults.

    class Options(TypedDict, total=False):
        method: Annotated[str, Default("POST")]

    @show_options
    def verb(app: str, **options: Unpack[Options]) -> None:
        given = complete(Options, options)

Type checkers know the options from `Unpack`, people from the signature that `show_options` gives the verb, and
`complete` adds what the caller left out.
"""

import inspect
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple, TypeVar, get_args, get_type_hints

_F = TypeVar("_F", bound=Callable[..., Any])


class Default(NamedTuple):
    """Marks an option's default, as `Annotated[str, Default("POST")]`."""

    value: Any


def show_options(verb: _F) -> _F:
    """Let a verb's signature show the options behind its `**options: Unpack[...]`, one by one and with their defaults.

    Examples:
        >>> from typing import Annotated, TypedDict, Unpack
        >>> class Options(TypedDict, total=False):
        ...     method: Annotated[str, Default("POST")]
        >>> @show_options
        ... def verb(app: str, **options: Unpack[Options]) -> None: ...
        >>> inspect.signature(verb)
        <Signature (app: str, *, method: str = 'POST') -> None>
    """
    signature = inspect.signature(verb, eval_str=True)
    *own, rest = signature.parameters.values()
    (kind,) = get_args(rest.annotation)
    options = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default.value, annotation=annotation)
        for name, (annotation, default) in _fields(kind).items()
    ]
    verb.__signature__ = signature.replace(parameters=[*own, *options])
    return verb


def complete(kind: type, given: Mapping[str, Any]) -> dict[str, Any]:
    """All options of a kind: the given ones, and the defaults of the others.

    Raises:
        TypeError: For an option that the kind does not have.
    """
    defaults = _defaults(kind)
    if unknown := given.keys() - defaults:
        name = min(unknown)
        raise TypeError(f"unexpected option {name!r}{_instead_of(name, defaults)}: there are {', '.join(defaults)}")
    return {**defaults, **given}


_RENAMED = {
    "client_timeout": "timeout",
    "interval": "poll_interval",
    "webhook": "webhook_url",
    "with_logs": "logs",
}
"""What fal's own clients call an option, and what it is called here."""


def _instead_of(name: str, options: Mapping[str, Any]) -> str:
    if name == "arguments":
        return " (the input is called `input` here)"
    if name == "on_queue_update" and "follow" in options:
        return " (each update is an item of the stream: pass on_next to its subscribe(), or use do_action)"
    return f" (it is `{_RENAMED[name]}` here)" if _RENAMED.get(name) in options else ""


@cache
def _defaults(kind: type) -> dict[str, Any]:
    return {name: default.value for name, (_, default) in _fields(kind).items()}


@cache
def _fields(kind: type) -> dict[str, tuple[Any, Default]]:
    """The options of a kind by their names: each with its type and its default."""
    hints = get_type_hints(kind, include_extras=True)
    return {name: (hint.__origin__, hint.__metadata__[0]) for name, hint in hints.items()}
