"""Rules 3, 4 and 7 as programs under `-X dev -W error`, where a leaked task, loop, socket or coroutine is heard of."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import pytest

from tests.reactive.scripts import PREAMBLES, run, run_strictly


@pytest.fixture(params=PREAMBLES.values(), ids=PREAMBLES)
def preamble(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def strictly(preamble: str) -> Callable[[str], str]:
    """Runs a script on each kind of loop."""
    return partial(run_strictly, preamble=preamble)


def test_a_plain_script_prints_nothing_in_success_error_timeout_and_dispose(strictly: Callable[[str], str]):
    out = strictly("""
        assert numbers(3).run() == 2
        assert list(numbers(3)) == [0, 1, 2]
        for item in numbers(1000): break
        try: numbers(2, error=ValueError("bad")).run()
        except ValueError as error: print(error)
        try: silent.pipe(timeout(0.01)).run()
        except TimeoutError as error: print(type(error).__name__)
        done = threading.Event()
        numbers(3).subscribe(print, on_completed=done.set)
        done.wait(5)
        silent.subscribe().dispose()
        subscription = silent.subscribe()
        subscription.dispose(); subscription.dispose()
        print(merge(numbers(2, "a"), numbers(2, "b", error=KeyError("b"))).materialize().last().run())
        print(numbers(1000, turns=50).take(1).run())  # the last line: the reader is still closing at exit
    """)
    assert out.splitlines() == ["bad", "StreamTimeoutError", "0", "1", "2", "OnError('b')", "0"]


def test_an_asyncio_program_prints_nothing_in_success_error_timeout_and_dispose(strictly: Callable[[str], str]):
    out = strictly("""
        async def main():
            assert await numbers(3) == 2
            assert [item async for item in numbers(3)] == [0, 1, 2]
            async for item in numbers(1000): break
            try: await numbers(2, error=ValueError("bad"))
            except ValueError as error: print(error)
            try: await silent.pipe(timeout(0.01))
            except TimeoutError as error: print(type(error).__name__)
            try:
                async with asyncio.timeout(0.01): await silent
            except TimeoutError as error: print(type(error).__name__)
            done = asyncio.Event()
            numbers(3).subscribe(print, on_completed=done.set)
            await done.wait()
            silent.subscribe().dispose()
            silent.subscribe()  # still open when the loop ends
            waiting = asyncio.ensure_future(silent)
            asyncio.ensure_future(anext(aiter(silent)))
            await asyncio.sleep(0.01)
            async for item in numbers(1000, "last"): break
        asyncio.run(main())
        asyncio.run(main())
        print(closed.count("silence"), [t.name for t in threading.enumerate()])
        gc.collect()
    """)
    once = ["bad", "StreamTimeoutError", "TimeoutError", "0", "1", "2"]
    # per run: two that timed out, three still open; the disposed one had not begun
    assert out.splitlines() == [*once, *once, "10 ['MainThread']"]


def test_streams_still_open_at_exit_are_named_in_one_warning_and_the_exit_takes_a_second_at_most(preamble: str):
    script = """
        for name in ("owner/b", "owner/a"):
            async def read(sink):
                sink.on_next(1)
                try: await asyncio.Event().wait()
                finally: await asyncio.Event().wait()  # never done closing
            opened = threading.Event()
            create(read, name=name).subscribe(lambda _: opened.set())
            opened.wait(5)
        disposed = silent.subscribe()
        disposed.dispose()
        print(time.monotonic(), flush=True)
    """
    done = run(script, preamble=preamble)
    assert time.monotonic() - float(done.stdout) < 3.0  # a second, and the interpreter's own on a busy machine
    assert done.returncode == 0
    assert done.stderr.count("Warning") == 1
    assert "2 stream(s) were still open: owner/a, owner/b" in done.stderr
    assert "destroyed" not in done.stderr


def test_a_stream_whose_callback_blocks_the_loop_at_exit_is_named_too():
    done = run("""
        entered = threading.Event()
        def block(_):
            entered.set()
            time.sleep(60)
        numbers(5, "blocked").subscribe(block)
        entered.wait(5)
    """)
    assert done.returncode == 0
    assert done.stderr.count("Warning") == 1
    assert "1 stream(s) were still open: blocked" in done.stderr


def test_the_exit_closes_the_connections_and_async_generators_of_the_background_loop(strictly: Callable[[str], str]):
    out = strictly("""
        async def generate():
            try: yield 1
            finally:
                await asyncio.sleep(0)
                os.write(1, b"generator closed\\n")
        generator = generate()
        async def read(sink):
            await anext(generator)
            sink.on_next(1)
        assert create(read, name="generates").run() == 1
        print(closed)
    """)
    assert out.splitlines() == ["[]", "generator closed"]


def test_parent_and_child_stream_on_after_a_fork(strictly: Callable[[str], str]):
    out = strictly("""
        opened = threading.Event()
        async def read(sink):
            sink.on_next(1)
            try: await asyncio.Event().wait()
            finally: os.write(1, b"closed by %d\\n" % (os.getpid() == parent))
        parent = os.getpid()
        subscription = create(read, name="open").subscribe(lambda _: opened.set())
        opened.wait(5)
        before = background_loop()
        for _ in range(2):
            sys.stdout.flush()
            child = os.fork()
            if not child:
                assert numbers(3).run() == 2 and list(merge(a=numbers(1))) == [("a", 0)]
                assert background_loop() is not before
                subscription.dispose()  # the parent's: without effect there, and no harm here
                if _: os._exit(0)
                sys.exit(0)
            print(os.waitpid(child, 0)[1])
        assert background_loop() is before
        assert numbers(3).run() == 2

        async def awaited():
            return await numbers(2)
        async def main():
            assert await numbers(2) == 1
            if not (child := os.fork()):
                status = 1
                try: status = 0 if numbers(3).run() == 2 and asyncio.run(awaited()) == 1 else 2
                finally: os._exit(status)
            assert await numbers(2) == 1
            print("inside a loop:", os.waitpid(child, 0)[1])
        asyncio.run(main())
        subscription.dispose()
    """)
    assert out.splitlines() == ["0", "0", "inside a loop: 0", "closed by 1"]


def test_a_shared_stream_starts_anew_in_a_forked_child_and_goes_on_in_the_parent(strictly: Callable[[str], str]):
    out = strictly("""
        from rxfal.reactive.operators.share import share
        runs, heard = [], []
        async def read(sink):
            runs.append(os.getpid())
            sink.on_next("first")
            await go_on.wait()
            sink.on_next("second")
        go_on = asyncio.Event()
        shared = create(read, name="shared").pipe(share())
        here, done = threading.Event(), threading.Event()
        complain = lambda _: os.write(1, b"an error!")
        shared.subscribe(lambda item: (heard.append(item), here.set()), complain, done.set)
        here.wait(5)
        shared.subscribe(lambda item: None, complain, scheduler=rx.scheduler.ImmediateScheduler())  # of no loop
        sys.stdout.flush()
        if not (child := os.fork()):
            os._exit(0 if shared.take(1).run() == "first" and runs[-1] == os.getpid() and len(runs) == 2 else 1)
        print("child:", os.waitpid(child, 0)[1])
        background_loop().loop.call_soon_threadsafe(go_on.set)
        done.wait(5)
        print(heard, len(runs))
    """)
    assert out.splitlines() == ["child: 0", "['first', 'second'] 1"]


def test_blocking_in_an_atexit_handler_says_what_is_wrong(strictly: Callable[[str], str]):
    out = strictly("""
        import atexit
        def late():
            for wait in (lambda: numbers(3).run(), lambda: list(numbers(3)), lambda: numbers(3).subscribe()):
                try: wait()
                except RuntimeError as error: os.write(1, str(error).encode() + b"\\n")
        atexit.register(late)  # before the background loop starts, so that it runs after that has ended
        assert numbers(3).run() == 2
    """)
    assert len(out.splitlines()) == 3
    for line in out.splitlines():
        assert line.startswith("the program is ending, and rxfal's background loop has ended with it: finish")


def test_blocking_in_an_atexit_handler_that_was_registered_later_still_works(strictly: Callable[[str], str]):
    out = strictly("""
        import atexit
        assert numbers(3).run() == 2
        atexit.register(lambda: os.write(1, b"%d" % numbers(5).run()))
    """)
    assert out == "4"


def test_a_first_use_in_an_atexit_handler_works_or_says_what_is_wrong(strictly: Callable[[str], str]):
    out = strictly("""
        import atexit
        def late():
            try: os.write(1, b"%d" % numbers(3).run())
            except RuntimeError as error: os.write(1, str(error).encode())
        atexit.register(late)
    """)
    assert out == "2" or out.startswith("the program is ending")


def test_reports_name_the_stream_and_a_default_handler_prints_them():
    done = run("""
        done = threading.Event()
        numbers(3, "owner/alias").subscribe(lambda x: 1 / x)
        numbers(1, "owner/other", error=ValueError("unheard")).subscribe()
        numbers(50).run()
    """)
    assert done.returncode == 0
    assert "stream owner/alias: on_next raised ZeroDivisionError" in done.stderr
    assert "stream owner/other: an error and no on_error callback: ValueError('unheard')" in done.stderr
    assert "Warning" not in done.stderr


def test_ctrl_c_in_a_blocking_wait_disposes_and_ends_the_program(strictly: Callable[[str], str]):
    out = strictly("""
        signal.signal(signal.SIGINT, signal.default_int_handler)  # which may have been inherited as ignored
        for wait in ("run", "for"):
            waiting, ended = threading.Event(), threading.Event()
            async def read(sink):
                waiting.set()
                await silence(sink)
            stream = create(read, name="waiting")
            def interrupt():
                waiting.wait(5)
                time.sleep(0.05)  # until the main thread waits
                while True:  # CPython heeds one that comes just before it blocks on a lock only with the next
                    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
                    if ended.wait(4): break
            threading.Thread(target=interrupt).start()
            try: stream.run() if wait == "run" else list(stream)
            except KeyboardInterrupt:
                ended.set()
                print("interrupted")
    """)
    assert out == "interrupted\n" * 2
