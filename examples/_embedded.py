"""Where the examples get their client: fal if the environment has a key, and a server on this machine if not."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import rxfal
from rxfal.testing import FalServer


@contextmanager
def client_or_demo() -> Iterator[rxfal.Client]:
    if os.environ.get("FAL_KEY") or os.environ.get("RXFAL_BASE_URL"):
        with rxfal.Client() as client:
            yield client
    else:
        with FalServer(models=True, pace=0.3) as server, server.client() as client:
            yield client
