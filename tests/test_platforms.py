"""rxfal needs nothing that only POSIX systems have: it works where their names are missing, as they are on Windows."""

import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).parent.parent

# The libraries come first: their own ways for other systems are theirs to test.
_PROGRAM = """
import asyncio, importlib, os, pkgutil, select, signal, sys
import aiohttp.web, PIL.Image, pydantic, pytest, reactivex, rich.live, rich.status, stamina, typer.rich_utils

MISSING = {
    os: "fork forkpty register_at_fork getuid geteuid getgid getegid setuid setsid getpgid killpg uname mkfifo"
    " login_tty openpty posix_spawn sendfile pread pwrite chown fchmod fchown WNOHANG O_CLOEXEC O_NONBLOCK O_NOFOLLOW"
    " O_DIRECTORY sysconf statvfs sched_getaffinity getpriority nice wait wait3",
    signal: "SIGHUP SIGQUIT SIGKILL SIGUSR1 SIGUSR2 SIGALRM SIGPIPE SIGCHLD SIGCONT SIGSTOP SIGTSTP SIGWINCH alarm"
    " pause setitimer pthread_kill pthread_sigmask sigwait siginterrupt",
    select: "poll epoll",
}
for module, names in MISSING.items():
    for name in names.split():
        if hasattr(module, name):
            delattr(module, name)
for name in ("fcntl", "termios", "tty", "pty", "pwd", "grp", "resource", "syslog", "posix"):
    sys.modules[name] = None
for name in ("add_signal_handler", "remove_signal_handler"):
    delattr(asyncio.SelectorEventLoop, name)

import rxfal

for module in pkgutil.walk_packages(rxfal.__path__, "rxfal."):
    if module.name != "rxfal.__main__":
        importlib.import_module(module.name)

from rxfal.cli import run
from rxfal.testing import Bytes, Disconnect, FalServer

with FalServer(models=True, pace=0) as server, server.client() as client:
    server.script("owner/cut", [Bytes(b"data: 1\\n\\n"), Disconnect("reset")])
    story = client.stream("fal-ai/any-llm", {"prompt": "a", "image": b"GIF89a"})
    assert story.run()["partial"] is False


    async def first():
        async for event in story:
            return event

    assert asyncio.run(first())["partial"] is True
    assert client.stream("fal-ai/any-llm", {"prompt": "a"}, auth="token").count().run() > 1
    try:
        client.stream("owner/cut").run()
    except rxfal.TransportError as error:
        print(error.kind)
    os.environ |= {"RXFAL_BASE_URL": server.url, "FAL_KEY": server.key}
    assert run(["stream", "fal-ai/fast-julia", "-i", "prompt=a", "-i", "size=16", "-o", os.devnull]) == 0
assert run(["demo", "--pace", "0"]) == 0
"""


def test_all_modules_load_and_work_without_what_windows_lacks() -> None:
    program = [sys.executable, "-X", "dev", "-W", "error", "-c", _PROGRAM]
    done = subprocess.run(program, cwd=_ROOT, capture_output=True, text=True, encoding="utf-8", timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("reset\n")
    assert "fal-ai/fast-julia" in done.stdout
