"""rxfal: the reactive client for fal models. Every call returns an Observable.

import rxfal
from rxfal import operators as ops

tokens = rxfal.stream("fal-ai/any-llm", {"prompt": "a haiku"})
tokens.pipe(ops.text()).subscribe(print)
"""

from typing import TYPE_CHECKING

from rxfal._version import __version__

if TYPE_CHECKING:
    from rxfal import errors, operators, ui
    from rxfal.client import Client, configure, verbs
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
    from rxfal.verbs.downloading import Downloaded, DownloadProgress, DownloadStream
    from rxfal.verbs.files import File
    from rxfal.verbs.inputs import Uploaded
    from rxfal.verbs.lifecycle import Access, AccessRule, Lifecycle
    from rxfal.verbs.models import Estimate, Model, Price
    from rxfal.verbs.schemas import ModelSchema
    from rxfal.verbs.storage import UploadProgress, UploadStream
    from rxfal.verbs.subscribe import QueueStream
    from rxfal.verbs.updates import Cancellation, Completed, InProgress, Queued, RequestHandle, RequestLog
    from rxfal.wire.config import Config
    from rxfal.wire.sse import ServerSentEvent

    download = verbs.download
    encode = verbs.encode
    map_concurrent = verbs.map_concurrent
    models = verbs.models
    queue = verbs.queue
    run = verbs.run
    stream = verbs.stream
    stream_events = verbs.stream_events
    subscribe = verbs.subscribe
    upload = verbs.upload
    upload_image = verbs.upload_image
else:
    from rxfal._lazy import load_later

    __getattr__, __dir__ = load_later(
        __name__,
        {
            "client": (
                "Client",
                "configure",
                "verbs.download",
                "verbs.encode",
                "verbs.map_concurrent",
                "verbs.models",
                "verbs.queue",
                "verbs.run",
                "verbs.stream",
                "verbs.stream_events",
                "verbs.subscribe",
                "verbs.upload",
                "verbs.upload_image",
            ),
            "errors": (
                "ApiError",
                "BodyTooLargeError",
                "CallbackError",
                "CredentialsError",
                "DecodeError",
                "EndpointError",
                "EventTooLargeError",
                "FalError",
                "StreamTimeoutError",
                "TransportError",
                "ValidationError",
            ),
            "reactive.concurrent": ("Mapped",),
            "reactive.iterate": ("iterate",),
            "reactive.merge": ("Tagged", "merge"),
            "reactive.race": ("hedge", "race"),
            "reactive.stream": ("ConnectableStream", "GroupedStream", "Stream", "from_observable"),
            "verbs.call": ("ResponseInfo",),
            "verbs.downloading": ("DownloadProgress", "DownloadStream", "Downloaded"),
            "verbs.files": ("File",),
            "verbs.inputs": ("Uploaded",),
            "verbs.lifecycle": ("Access", "AccessRule", "Lifecycle"),
            "verbs.models": ("Estimate", "Model", "Price"),
            "verbs.schemas": ("ModelSchema",),
            "verbs.storage": ("UploadProgress", "UploadStream"),
            "verbs.subscribe": ("QueueStream",),
            "verbs.updates": ("Cancellation", "Completed", "InProgress", "Queued", "RequestHandle", "RequestLog"),
            "wire.config": ("Config",),
            "wire.sse": ("ServerSentEvent",),
        },
        submodules=("errors", "operators", "ui"),
        elsewhere={  # names of fal's own client
            "AsyncClient": "rxfal.Client",
            "SyncClient": "rxfal.Client",
            "cancel": "rxfal.queue.cancel",
            "encode_file": "rxfal.encode",
            "encode_image": "rxfal.encode",
            "result": "rxfal.queue.updates, which waits, or rxfal.queue.result",
            "run_async": "rxfal.run, which can be awaited",
            "status": "rxfal.queue.status",
            "stream_async": "rxfal.stream, which can be iterated over with async for",
            "submit": "rxfal.queue.submit",
            "submit_async": "rxfal.queue.submit, which can be awaited",
            "subscribe_async": "rxfal.subscribe, which can be awaited",
            "upload_file": "rxfal.upload",
        },
    )

__all__ = [
    "Access",
    "AccessRule",
    "ApiError",
    "BodyTooLargeError",
    "CallbackError",
    "Cancellation",
    "Client",
    "Completed",
    "Config",
    "ConnectableStream",
    "CredentialsError",
    "DecodeError",
    "DownloadProgress",
    "DownloadStream",
    "Downloaded",
    "EndpointError",
    "Estimate",
    "EventTooLargeError",
    "FalError",
    "File",
    "GroupedStream",
    "InProgress",
    "Lifecycle",
    "Mapped",
    "Model",
    "ModelSchema",
    "Price",
    "QueueStream",
    "Queued",
    "RequestHandle",
    "RequestLog",
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
    "download",
    "encode",
    "errors",
    "from_observable",
    "hedge",
    "iterate",
    "map_concurrent",
    "merge",
    "models",
    "operators",
    "queue",
    "race",
    "run",
    "stream",
    "stream_events",
    "subscribe",
    "ui",
    "upload",
    "upload_image",
]
