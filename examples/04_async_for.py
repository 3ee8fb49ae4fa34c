"""`async for`: pull the events inside an event loop, with backpressure down to the socket; stop when it is enough."""

import asyncio

from _embedded import client_or_demo

import rxfal
from rxfal import operators as ops


async def main(client: rxfal.Client) -> None:
    texts = client.stream("fal-ai/any-llm", {"prompt": "where rivers begin"}).pipe(ops.text())

    async for text in texts:
        print(text)
        if len(text) > 60:
            break  # drops the connection, which ends the work on the server

    final = await texts  # another request: a stream is cold
    print(f"whole: {len(final)} characters")


with client_or_demo() as client:
    asyncio.run(main(client))
