"""Programs of their own under `-X dev`, where a leaked task, loop, socket or coroutine is heard of."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

from tests.loops import LOOPS

ROOT = Path(__file__).parents[2]

SOURCES = """
import asyncio, gc, os, signal, sys, threading, time, types

package = types.ModuleType("rxfal")  # the reactive wing alone: HTTP takes a while to import
package.__path__ = ["rxfal"]
sys.modules["rxfal"] = package

import reactivex as rx
from rxfal.reactive.stream import create, from_observable
from rxfal.reactive.merge import merge
from rxfal.reactive.operators.timeout import timeout
from rxfal.reactive.background import background_loop

closed = []

def numbers(count, name="numbers", error=None, turns=5):
    async def read(sink):
        try:
            for number in range(count):
                sink.on_next(number)
                await asyncio.sleep(0)
            if error:
                raise error
        finally:
            for _ in range(turns):  # as a connection that takes some turns of the loop to close
                await asyncio.sleep(0)
            closed.append(name)
    return create(read, name=name)

async def silence(sink):
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0)
        closed.append("silence")

silent = create(silence, name="silent")
"""


UVLOOP = """
import asyncio, uvloop, warnings
with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # of policies, from Python 3.14 on
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
"""

PREAMBLES = {name: UVLOOP if name == "uvloop" else "" for name in LOOPS if name != "eager"}
"""What makes every loop of a program one of its kind, the background loop too."""


def run(script: str, *flags: str, preamble: str = "") -> subprocess.CompletedProcess[str]:
    source = preamble + SOURCES + textwrap.dedent(script)
    return subprocess.run(
        [sys.executable, "-X", "dev", *flags, "-c", source], cwd=ROOT, capture_output=True, text=True, timeout=20
    )


def run_strictly(script: str, *, preamble: str = "") -> str:
    """What the script prints; on stderr it prints nothing."""
    done = run(script, "-W", "error", preamble=preamble)
    assert done.stderr == ""
    assert done.returncode == 0
    return done.stdout
