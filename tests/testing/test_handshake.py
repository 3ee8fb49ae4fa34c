"""The flag that crosses threads and loops."""

import asyncio
import threading

import pytest

from rxfal.testing.handshake import Handshake


async def test_a_waiter_on_a_loop_is_woken_by_another_thread():
    flag = Handshake("it")
    thread = threading.Thread(target=flag.set)
    waiting = asyncio.ensure_future(flag.wait())
    await asyncio.sleep(0)
    thread.start()
    await waiting
    thread.join()
    assert flag.is_set


async def test_a_flag_that_is_up_lets_everyone_pass_at_once():
    flag = Handshake("it")
    flag.set()
    flag.set()
    await flag.wait(timeout=0)
    flag.wait_blocking(timeout=0)


async def test_a_wait_that_takes_too_long_says_what_it_waited_for():
    flag = Handshake("the tide")
    with pytest.raises(TimeoutError, match="the tide"):
        await flag.wait(timeout=0.001)
    with pytest.raises(TimeoutError, match="the tide"):
        flag.wait_blocking(timeout=0.001)
    flag.set()


def test_a_waiter_whose_loop_is_gone_disturbs_nobody():
    flag = Handshake("it")

    async def start_waiting() -> None:
        waiting = asyncio.ensure_future(flag.wait())
        await asyncio.sleep(0)
        waiting.cancel()

    asyncio.run(start_waiting())
    flag.set()
    flag.wait_blocking(timeout=0)
