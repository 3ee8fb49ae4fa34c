"""One lock for each object that several uploads may read at the same time, such as an open file."""

import threading
from collections.abc import Generator
from contextlib import contextmanager
from weakref import WeakValueDictionary

__all__ = ["lock_of"]

_locks: WeakValueDictionary[int, threading.Lock] = WeakValueDictionary()
_locks_lock = threading.Lock()


@contextmanager
def lock_of(value: object) -> Generator[None]:
    """One lock per object; it lives while someone holds it or waits for it."""
    with _locks_lock:
        lock = _locks.get(id(value))
        if lock is None:
            lock = _locks[id(value)] = threading.Lock()
    with lock:
        yield
