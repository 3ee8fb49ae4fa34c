"""How long fal keeps a file, and who may see it: what the option `lifecycle` takes, and the headers for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from typing import Annotated, Any, Literal, Protocol, Self, get_args

from pydantic import AfterValidator, AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field

__all__ = ["Access", "AccessRule", "Keep", "Lifecycle", "LifecycleLike", "StorageSettings"]

Keep = Literal["immediate", "1h", "1d", "7d", "30d", "1y", "never"]
"""When a file expires, in fal's words; `immediate` is a minute, `never` keeps it."""

_SECONDS: dict[str, int | None] = {
    "immediate": 60,
    "1h": 3600,
    "1d": 86_400,
    "7d": 7 * 86_400,
    "30d": 30 * 86_400,
    "1y": 365 * 86_400,
    "never": None,
}

Decision = Literal["allow", "hide", "forbid"]


class AccessRule(BaseModel):
    """What one user may do with a file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    user: str
    decision: Decision


class Access(BaseModel):
    """Who may see a file: `rules` for the users they name, `default` for all others."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    default: Decision | None = None
    rules: Annotated[tuple[AccessRule, ...] | None, AfterValidator(lambda rules: rules or None)] = None


def _seconds_of(expiration: Any) -> int | None:
    """The seconds that a word or a number stands for."""
    if isinstance(expiration, str):
        if expiration not in _SECONDS:
            raise ValueError(f"lifecycle is one of {', '.join(get_args(Keep))}, or seconds; not {expiration!r}")
        return _SECONDS[expiration]
    if expiration is not None and (not isinstance(expiration, int) or isinstance(expiration, bool) or expiration <= 0):
        raise ValueError(f"lifecycle in seconds is a whole number above 0, not {expiration!r}; 'never' keeps the file")
    return expiration


class StorageSettings(Protocol):
    """The dataclass of that name in fal-client; fal-client itself is not needed."""

    @property
    def expires_in(self) -> Any:
        """A word of `Keep`, or seconds."""
        ...

    @property
    def initial_acl(self) -> Any:
        """Who may see the file."""
        ...


class Lifecycle(BaseModel):
    """How long a file is kept, and who may see it. An access that says nothing counts as none.

    Args:
        expiration_duration_seconds: Seconds until it is deleted, or one of the words of `Keep`; None keeps it. In a
            mapping it may also be called `expires_in`, as in fal's clients.
        initial_acl: Who may see it.

    Examples:
        >>> Lifecycle.of("1h").headers()["X-Fal-Object-Lifecycle"]
        '{"expiration_duration_seconds":3600}'
        >>> mine = {"default": "forbid", "rules": [{"user": "me", "decision": "allow"}]}
        >>> Lifecycle.of({"initial_acl": mine})
        Lifecycle(expiration_duration_seconds=None, initial_acl=Access(default='forbid', ...
        >>> Lifecycle.of({"expires_in": "1d", "initial_acl": mine}).expiration_duration_seconds
        86400
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    expiration_duration_seconds: Annotated[int | None, BeforeValidator(_seconds_of)] = Field(
        default=None, validation_alias=AliasChoices("expiration_duration_seconds", "expires_in")
    )
    initial_acl: Annotated[Access | None, AfterValidator(lambda access: None if access == Access() else access)] = None

    @classmethod
    def of(cls, lifecycle: LifecycleLike) -> Self:
        """A lifecycle from a word, from seconds, from its JSON, from fal-client's `StorageSettings`, or from nothing.

        Raises:
            ValueError: It is none of these.
        """
        if isinstance(lifecycle, str | int):
            return cls(expiration_duration_seconds=_seconds_of(lifecycle))
        if is_dataclass(lifecycle) and not isinstance(lifecycle, type):
            lifecycle = asdict(lifecycle)
        return cls.model_validate({} if lifecycle is None else lifecycle)

    def headers(self) -> dict[str, str]:
        """The request headers for it. Both names are sent, because fal's clients disagree which one counts."""
        text = self.model_dump_json(exclude_none=True)
        return {} if text == "{}" else {"X-Fal-Object-Lifecycle": text, "X-Fal-Object-Lifecycle-Preference": text}


LifecycleLike = Keep | int | Mapping[str, Any] | Lifecycle | StorageSettings | None
"""What the option `lifecycle` takes."""
