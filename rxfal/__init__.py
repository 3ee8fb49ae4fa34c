"""rxfal: the reactive client for fal models. Every call returns an Observable.

import rxfal
from rxfal import operators as ops

tokens = rxfal.stream("fal-ai/any-llm", {"prompt": "a haiku"})
tokens.pipe(ops.text()).subscribe(print)
"""

from rxfal import errors, operators
from rxfal._version import __version__
from rxfal.client import Client, configure, map_concurrent, stream, stream_events, upload
from rxfal.errors import (
    ApiError,
    BodyTooLargeError,
    CallbackError,
    CredentialsError,
    DecodeError,
    EndpointError,
    EventTooLargeError,
    FalError,
    StreamTimeoutError,
    TransportError,
    ValidationError,
)
from rxfal.reactive.concurrent import Mapped
from rxfal.reactive.iterate import iterate
from rxfal.reactive.merge import Tagged, merge
from rxfal.reactive.race import hedge, race
from rxfal.reactive.stream import ConnectableStream, GroupedStream, Stream, from_observable
from rxfal.verbs.call import ResponseInfo
from rxfal.verbs.files import File
from rxfal.verbs.inputs import Uploaded
from rxfal.verbs.storage import Access, AccessRule, Lifecycle, UploadProgress, UploadStream
from rxfal.wire.config import Config
from rxfal.wire.sse import ServerSentEvent

__all__ = [
    "Access",
    "AccessRule",
    "ApiError",
    "BodyTooLargeError",
    "CallbackError",
    "Client",
    "Config",
    "ConnectableStream",
    "CredentialsError",
    "DecodeError",
    "EndpointError",
    "EventTooLargeError",
    "FalError",
    "File",
    "GroupedStream",
    "Lifecycle",
    "Mapped",
    "ResponseInfo",
    "ServerSentEvent",
    "Stream",
    "StreamTimeoutError",
    "Tagged",
    "TransportError",
    "UploadProgress",
    "UploadStream",
    "Uploaded",
    "ValidationError",
    "__version__",
    "configure",
    "errors",
    "from_observable",
    "hedge",
    "iterate",
    "map_concurrent",
    "merge",
    "operators",
    "race",
    "stream",
    "stream_events",
    "upload",
]
