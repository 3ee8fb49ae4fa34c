"""The server that clients are measured against: a process of its own that writes bytes made beforehand.

Blocking sockets and a thread per connection, since `sendall` of large blocks leaves the client as the bottleneck,
which an HTTP framework does not. It speaks just enough HTTP for that, over TLS too, with a certificate that it makes.
What it answers is in the path's second part:

    /bench/tokens-100-60000/stream    60,000 events of the shape `tokens`, 100 an HTTP chunk
    /bench/once-keep/stream           one event; `once-close` closes the connection after it
    /bench/paced-50-100-even/stream   an event at once, and after POST /go 100 more, one each 50 ms, with their time:
                                      the streams are spread evenly over the 50 ms, or `step`, all at the same moment
    /rest/tokens/                     a short-lived token
"""

import contextlib
import functools
import json
import os
import resource
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n"
    b"x-fal-request-id: b1f7a3f0-2c5e-4c11-9d57-0f6a1c2e3b4d\r\n"
)
_END = b"0\r\n\r\n"
_BLOCK = 2**20  # bytes that are written at a time, at least
PERIOD = 100  # events after which a shape begins anew; in so many a text grows to 4 kB


def event(shape: str, number: int) -> bytes:
    """One event as it is on the wire."""
    rest = {"partial": True, "reasoning": None, "error": None}
    if shape == "tokens":
        value = {"output": f"{number:06} " + "x" * 46, **rest}
    elif shape == "cumulative":
        value = {"output": ("some words " * 400)[: (number + 1) * 4096 // PERIOD], **rest}
    elif shape == "images":
        value = {"images": [{"url": "data:image/jpeg;base64," + "QUJD" * 50_000, "content_type": "image/jpeg"}]}
    else:
        raise ValueError(f"no such shape: {shape}")
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def chunked(data: bytes) -> bytes:
    """One HTTP chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)


@functools.cache
def size(shape: str, events: int) -> int:
    """The bytes of so many events."""
    return sum(len(event(shape, number)) for number in range(PERIOD)) * events // PERIOD


@functools.cache
def body(shape: str, per_chunk: int, events: int) -> tuple[bytes, int]:
    """A block to write again and again, and how many times."""
    if events % PERIOD or PERIOD % per_chunk:
        raise ValueError(f"{events} events, {per_chunk} a chunk, do not come out even: a period is {PERIOD}")
    made = [event(shape, number) for number in range(PERIOD)]
    block = b"".join(chunked(b"".join(made[at : at + per_chunk])) for at in range(0, PERIOD, per_chunk))
    times = events // PERIOD
    grouped = next(size for size in range(min(times, _BLOCK // len(block) + 1), 0, -1) if times % size == 0)
    return block * grouped, times // grouped


class Pacer:
    """Writes to many streams at an even pace, from one thread."""

    def __init__(self) -> None:
        self._streams: dict[socket.socket, tuple[float, int, bool]] = {}

    def add(self, connection: socket.socket, seconds: float, events: int, *, in_step: bool) -> None:
        self._streams[connection] = seconds, events, in_step

    def __contains__(self, connection: socket.socket) -> bool:
        return connection in self._streams

    def go(self) -> None:
        """Start all that are waiting; they share one pace."""
        streams = dict(self._streams)
        pace = next(iter(streams.values()))
        threading.Thread(target=self._write, args=([*streams], *pace), daemon=True).start()

    def _write(self, connections: list[socket.socket], interval: float, events: int, in_step: bool) -> None:
        begin, streams = time.monotonic(), len(connections)
        filler = b"x" * 46
        for number, connection in enumerate(connections * events):
            due = number // streams if in_step else number / streams
            ahead = begin + due * interval - time.monotonic()
            if ahead > 0:
                time.sleep(ahead)
            data = b'data: {"output": "%b", "partial": true, "reasoning": null, "sent": %d}\n\n' % (
                filler,
                time.monotonic_ns(),
            )
            with contextlib.suppress(OSError):
                connection.sendall(chunked(data))
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.sendall(_END)
            del self._streams[connection]
            connection.close()


def requests(connection: socket.socket) -> Iterator[str]:
    """The paths of the requests on a connection, their bodies passed over."""
    received = b""
    while True:
        while b"\r\n\r\n" not in received:
            more = connection.recv(65536)
            if not more:
                return
            received += more
        head, _, received = received.partition(b"\r\n\r\n")
        length = next((line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), b":0")
        missing = int(length.partition(b":")[2]) - len(received)
        while missing > 0:
            missing -= len(connection.recv(missing))
        received = b""
        yield head.split(b" ", 2)[1].decode().partition("?")[0]


def serve(connection: socket.socket, pacer: Pacer) -> None:
    """Answer the requests of one connection."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for path in requests(connection):
        name, *rest = path.split("/")[2].split("-") if path.startswith("/bench/") else [path]
        if name == "/go":
            pacer.go()
            connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        elif name == "/rest/tokens/":
            answer = b'"a-short-lived-token"'
            connection.sendall(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
                % (len(answer), answer)
            )
        elif name == "once":
            close = rest == ["close"]
            head = _HEAD + (b"Connection: close\r\n\r\n" if close else b"\r\n")
            connection.sendall(head + chunked(event("tokens", 0)) + _END)
            if close:
                return
        elif name == "paced":
            connection.sendall(_HEAD + b"\r\n" + chunked(b'data: {"sent": 0}\n\n'))
            pacer.add(connection, int(rest[0]) / 1000, int(rest[1]), in_step=rest[2] == "step")
            return
        else:
            block, times = body(name, *map(int, rest))
            connection.sendall(_HEAD + b"\r\n")
            for _ in range(times):
                connection.sendall(block)
            connection.sendall(_END)
    connection.close()


@contextlib.contextmanager
def running(certificate: str | None = None) -> Iterator[str]:
    """Run the server in a process of its own for the block, and give its URL.

    Args:
        certificate: A file. If given, the server speaks TLS, and writes there what its clients must trust.
    """
    command = [sys.executable, "-m", "benchmarks.server", *([certificate] if certificate else ())]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        try:
            yield f"{'https' if certificate else 'http'}://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.stdin.close()  # it ends with its input, also when this process is killed


def raise_descriptor_limit() -> None:
    """Allow this process as many connections as the system lets it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def secure(certificate: str) -> ssl.SSLContext:
    """TLS with a certificate of this moment's; writes to a file what its clients must trust."""
    import trustme  # which takes a while, and only TLS needs it

    authority = trustme.CA()
    authority.cert_pem.write_to_path(certificate)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


def main() -> None:
    """Serve until the standard input ends."""
    raise_descriptor_limit()
    context = secure(sys.argv[1]) if len(sys.argv) > 1 else None
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    print(listener.getsockname()[1], flush=True)
    pacer = Pacer()

    def accept() -> None:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=_quietly, args=(connection, context, pacer), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    sys.stdin.read()
    os._exit(0)  # without waiting for streams that are under way


def _quietly(connection: socket.socket, context: ssl.SSLContext | None, pacer: Pacer) -> None:
    with contextlib.suppress(ConnectionError, ssl.SSLError):  # a client that leaves early
        try:
            if context is not None:
                connection = context.wrap_socket(connection, server_side=True)
            serve(connection, pacer)
        finally:
            if connection not in pacer:
                connection.close()


if __name__ == "__main__":
    main()
