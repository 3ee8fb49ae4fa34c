"""A program, run by the Python of `.venv-fal`: an app written with fal's own package, served on loopback.

It prints its port, then what the app reports, a line each, and ends when its stdin is closed.
"""

import asyncio
import json
import socket
import sys

import fal
import uvicorn
from fal.exceptions import FieldException
from fal.toolkit.utils.endpoint import cancel_on_disconnect
from fastapi import HTTPException, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field


def report(what: str) -> None:
    print(f"report {what}", flush=True)


class Input(BaseModel):
    prompt: str = Field(min_length=1)
    times: int = 1


class Output(BaseModel):
    text: str
    times: int


class Wait(BaseModel):
    name: str


class Echo(fal.App):
    @fal.endpoint("/")
    async def run(self, input: Input, response: Response) -> Output:
        response.headers["x-fal-billable-units"] = "1.5"
        return Output(text=input.prompt.upper(), times=input.times)

    @fal.endpoint("/stream")
    async def stream(self, input: Input) -> StreamingResponse:
        async def events():
            words = ""
            for word in input.prompt.split():
                words += word
                yield f"data: {json.dumps({'output': words})}\n\n"

        return StreamingResponse(events(), media_type="text/event-stream")

    @fal.endpoint("/audio")
    async def audio(self, input: Input) -> Response:
        return Response(b"RIFF....", media_type="audio/wav")

    @fal.endpoint("/refuses")
    async def refuses(self, input: Input) -> Output:
        raise FieldException("prompt", "is not allowed", type="content_policy_violation")

    @fal.endpoint("/busy")
    async def busy(self, input: Input) -> Output:
        raise HTTPException(503, "try later")

    @fal.endpoint("/breaks")
    async def breaks(self, input: Input) -> Output:
        raise RuntimeError("a secret of the app")

    @fal.endpoint("/breaks/stream")
    async def breaks_midway(self, input: Input) -> StreamingResponse:
        async def events():
            yield 'data: "begun"\n\n'
            raise RuntimeError("a secret of the app")

        return StreamingResponse(events(), media_type="text/event-stream")

    @fal.endpoint("/waits")
    async def waits(self, input: Wait, request: Request) -> Output:
        async with cancel_on_disconnect(request):
            report(f"{input.name} begun")
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                report(f"{input.name} cancelled")
                raise
        raise AssertionError

    @fal.endpoint("/waits/stream")
    async def waits_stream(self, input: Wait) -> StreamingResponse:
        async def events():
            try:
                yield 'data: "begun"\n\n'
                await asyncio.Event().wait()
            finally:
                report(f"{input.name} ended")

        return StreamingResponse(events(), media_type="text/event-stream")


async def main() -> None:
    app = Echo(_allow_init=True)._build_app()

    async def gateway(scope, receive, send):  # as fal's own: the app sees the path behind its id
        if scope["type"] != "lifespan":
            scope = {**scope, "path": scope["path"].removeprefix("/owner/echo") or "/"}
        await app(scope, receive, send)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(gateway, log_level="critical", timeout_graceful_shutdown=1))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        print(f"port {listener.getsockname()[1]}", flush=True)
        await asyncio.to_thread(sys.stdin.read)
        server.should_exit = True
        await serving


if __name__ == "__main__":
    asyncio.run(main())
