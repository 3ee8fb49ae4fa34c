# pyright: strict
"""What a type checker must know of a user's program. Checked, never run: see test_types.py."""

from typing import Any, assert_type

from pydantic import BaseModel, SecretStr

import rxfal
from rxfal import operators as ops


class Answer(BaseModel):
    output: str
    partial: bool = False


def length(answer: Answer) -> int:
    return len(answer.output)


async def typed() -> None:
    answers = rxfal.stream("fal-ai/any-llm", {"prompt": "a haiku"}, output=Answer)
    assert_type(answers, rxfal.Stream[Answer])
    assert_type(await answers, Answer)
    async for answer in answers:
        assert_type(answer, Answer)
    async for size in rxfal.stream("fal-ai/any-llm", {"prompt": "a haiku"}, output=Answer).map(length):
        assert_type(size, int)
    async for text in answers.filter(lambda answer: not answer.partial).map(lambda answer: answer.output):
        assert_type(text, str)
    assert_type(rxfal.stream("fal-ai/x", output=list[int]), rxfal.Stream[list[int]])


async def untyped() -> None:
    tokens = rxfal.stream("fal-ai/any-llm", {"prompt": "a haiku"})
    assert_type(tokens, rxfal.Stream[Any])
    async for event in tokens.do_action(print):
        assert_type(event, Any)
    assert_type(await tokens.map(lambda event: str(event["output"])), str)


def operators() -> None:
    answers = rxfal.stream("fal-ai/any-llm", {"prompt": "a haiku"}, output=Answer)
    assert_type(answers.pipe(ops.timeout(5), ops.map(length), ops.buffer(count=8), ops.last()), rxfal.Stream[list[int]])
    assert_type(answers.map(lambda answer: answer.output).timeout(5), rxfal.Stream[str])
    assert_type(answers.pipe(ops.text(), ops.last()), rxfal.Stream[str])
    for answer in answers:
        assert_type(answer, Answer)
    assert_type(answers.run(), Answer)


async def merged() -> None:
    a = rxfal.stream("fal-ai/a", output=Answer)
    b = rxfal.stream("fal-ai/b", output=Answer)
    assert_type(rxfal.merge(a, b), rxfal.Stream[Answer])
    assert_type(rxfal.merge(x=a, y=b), rxfal.Stream[rxfal.Tagged[Answer]])
    assert_type(rxfal.merge({"fal-ai/a": a, "fal-ai/b": b}), rxfal.Stream[rxfal.Tagged[Answer]])
    async for item in rxfal.merge(x=a, y=b):
        assert_type(item.tag, str)
        assert_type(item.value, Answer)
    rxfal.merge(a, b).subscribe(lambda answer: print(answer.output), print, lambda: print("done"))


class Label:
    def set_text(self, text: str) -> "Label":
        return self


def callbacks_may_return_something(texts: rxfal.Stream[str], label: Label, seen: list[str], ended: set[str]) -> None:
    texts.subscribe(label.set_text, lambda error: label, lambda: ended.discard("texts"))
    texts.do_action(label.set_text).do(on_next=label.set_text, on_error=lambda error: seen.append(str(error)))
    texts.pipe(ops.do_action(label.set_text), ops.tap(seen.append), ops.finally_action(lambda: label)).subscribe()


async def a_client_of_ones_own() -> None:
    async with rxfal.Client("key") as client:
        assert_type(client.stream("fal-ai/any-llm", output=Answer), rxfal.Stream[Answer])
        async for event in client.stream("fal-ai/any-llm"):
            assert_type(event, Any)
        async for event in client.stream_events("fal-ai/any-llm"):
            assert_type(event, rxfal.ServerSentEvent)


def keys() -> None:
    config = rxfal.Config(key=SecretStr("key-id:key-secret"), trusted_hosts={"models.example.com"})
    assert_type(config.run_url, str)
    assert config.key is not None
    assert_type(config.key.get_secret_value(), str)
    assert_type(rxfal.configure(SecretStr("key-id:key-secret"), config=config), rxfal.Client)
    rxfal.Client(lambda: SecretStr("key-id:key-secret"))
    rxfal.Client(access_token=lambda: "token")


async def about_models() -> None:
    async for model in rxfal.models.search("flux", category="text-to-image", limit=3):
        assert_type(model, rxfal.Model)
    assert_type(await rxfal.models.schema("fal-ai/x"), rxfal.ModelSchema)
    price = rxfal.models.price("fal-ai/x").run()
    assert_type(price, rxfal.Price)
    assert_type(price.cost(2.5), float)
    assert_type((await rxfal.models.estimate("fal-ai/x", 10)).total_cost, float)


def my_middleware(method: str, url: str, headers: dict[str, str]) -> tuple[str, str, dict[str, str]]:
    return method, url, headers | {"X-Trace": "1"}


async def my_async_middleware(method: str, url: str, headers: dict[str, str]) -> tuple[str, str, dict[str, str]]:
    return method, url, headers


def configured() -> None:
    rxfal.Config(middleware=my_middleware, max_concurrent=4, validation="require")
    rxfal.Config(middleware=my_async_middleware, validation="warn")


async def files() -> None:
    upload = rxfal.upload("cat.png", lifecycle="1h")
    assert_type(await upload, rxfal.Uploaded)
    assert_type(await upload.wait(), rxfal.Uploaded)
    assert_type(upload.run(), rxfal.Uploaded)
    async for step in upload:
        assert_type(step, rxfal.UploadProgress | rxfal.Uploaded)
    download = rxfal.download(upload.run(), "out/", overwrite=True)
    assert_type(await download, rxfal.Downloaded)
    assert_type((await download).data, bytes | None)
    async for item in download:
        assert_type(item, rxfal.DownloadProgress | rxfal.Downloaded)
    async for size in download.map(lambda item: item.received if isinstance(item, rxfal.DownloadProgress) else 0):
        assert_type(size, int)
    assert_type(rxfal.encode(b"x"), str)
