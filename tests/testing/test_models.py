"""The built-in models: what they send is real, and the same each time."""

import base64
import io
import itertools
import json
import wave
from collections.abc import AsyncIterator
from typing import cast

import aiohttp
import pytest
from PIL import Image

from rxfal.testing import FalServer, Job, words
from rxfal.testing.models import BARD, JULIA, LLM, SPEECH


@pytest.fixture
async def models():
    async with FalServer(models=True, pace=0) as server:
        headers = {"Authorization": f"Key {server.key}"}
        async with aiohttp.ClientSession(server.url, headers=headers) as session:
            yield session


async def events(session: aiohttp.ClientSession, app: str, **input: object) -> list[dict]:
    async with session.post(f"/{app}/stream", json=input) as response:
        body = await response.read()
        assert response.status == 200, body
    return [json.loads(event.removeprefix(b"data: ")) for event in body.split(b"\n\n") if event]


@pytest.mark.parametrize("app", [LLM, BARD])
async def test_a_language_model_sends_the_growing_text(models: aiohttp.ClientSession, app: str):
    answer = await events(models, app, prompt="tell me about lighthouses")
    outputs = [event["output"] for event in answer]
    assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(outputs))
    assert [event["partial"] for event in answer] == [True] * (len(answer) - 1) + [False]
    assert outputs[-1] == outputs[-2]
    assert "lighthouses" in outputs[-1]
    assert answer == await events(models, app, prompt="tell me about lighthouses")


async def test_the_two_language_models_have_words_of_their_own(models: aiohttp.ClientSession):
    one, other = [(await events(models, app, prompt="the sea"))[-1]["output"] for app in (LLM, BARD)]
    assert one != other


async def test_a_language_model_stops_at_max_tokens(models: aiohttp.ClientSession):
    answer = await events(models, LLM, prompt="the sea", max_tokens=3)
    assert len(answer) == 4


async def test_the_pace_is_what_the_input_asks_for():
    waited = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    server = FalServer(pace=0.5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rxfal.testing.models.asyncio.sleep", sleep)
        server.add_models()
        app = server._routes._apps[LLM]
        asked = {"prompt": "the sea", "max_tokens": 2, "tokens_per_second": 100}
        async for _ in cast("AsyncIterator[object]", app.call(asked, Job("id", {}))):
            pass
    assert waited == [0.1, 0.005, 0.005]


async def test_the_image_sharpens_from_coarse_to_fine(models: aiohttp.ClientSession):
    answer = await events(models, JULIA, prompt="a fern in the rain", size=64)
    assert [event["progress"] for event in answer] == [n / 8 for n in range(1, 9)]
    colours = []
    for event in answer:
        (picture,) = event["images"]
        kind, _, data = picture["url"].partition(";base64,")
        assert kind == "data:image/png"
        image = Image.open(io.BytesIO(base64.b64decode(data)))
        image.load()
        assert (image.size, image.format) == ((64, 64), "PNG")
        assert (picture["width"], picture["height"], picture["content_type"]) == (64, 64, "image/png")
        colours.append(len(image.convert("RGB").getcolors(64 * 64) or ()))
    assert colours[0] == 1
    assert colours[-1] > 32
    # Turned by half a turn it is the same picture: what a Julia set is.
    assert image.tobytes() == image.rotate(180).tobytes()


async def test_another_prompt_is_another_picture(models: aiohttp.ClientSession):
    one, again, other = [
        (await events(models, JULIA, prompt=prompt, size=32))[-1]["images"] for prompt in ("a", "a", "b")
    ]
    assert one == again != other


async def test_the_speech_is_a_wav_of_the_announced_length(models: aiohttp.ClientSession):
    async with models.post(f"/{SPEECH}", json={"prompt": "Hello, world"}) as response:
        assert response.content_type == "audio/wav"
        pieces = [piece async for piece, _ in response.content.iter_chunks()]
    body = b"".join(pieces)
    with wave.open(io.BytesIO(body)) as sound:
        assert (sound.getnchannels(), sound.getsampwidth()) == (1, 2)
        frames = sound.readframes(sound.getnframes())
    assert len(frames) == len(body) - 44
    assert sound.getnframes() / sound.getframerate() > 0.5
    assert max(frames) > 0


@pytest.mark.parametrize("app", [LLM, BARD, JULIA, SPEECH])
async def test_a_missing_prompt_is_422_with_fals_detail(models: aiohttp.ClientSession, app: str):
    async with models.post(f"/{app}/stream", json={}) as response:
        assert response.status == 422
        (detail,) = (await response.json())["detail"]
    assert (detail["loc"], detail["type"]) == (["body", "prompt"], "missing")


async def test_a_prompt_of_digits_comes_through_a_query(models: aiohttp.ClientSession):
    async with models.get(f"/{LLM}", params={"prompt": "42"}) as response:
        assert response.status == 200


@pytest.mark.parametrize("prompt", ["", "???", "the", "a sea of lighthouses and of ships", "Überraschung für Zoë"])
def test_tokens_join_to_the_text(prompt: str):
    for text in (words.prose(prompt), words.verse(prompt)):
        assert "".join(words.tokens(text)) == text
        assert "{" not in text


@pytest.mark.parametrize(
    ("app", "input", "units"),
    [
        (LLM, {"prompt": "the sea", "max_tokens": 3}, "0.003"),
        (JULIA, {"prompt": "sea", "size": 100}, "0.01"),
        (SPEECH, {"text": "sea"}, "0.003"),
    ],
)
async def test_through_the_queue_they_log_and_cost(app: str, input: dict, units: str):
    async with (
        FalServer(models=True, pace=0, require_key=False) as server,
        aiohttp.ClientSession(server.url) as session,
        session.post(f"/queue/{app}", json=input) as submitted,
    ):
        assert submitted.status == 200
        (request,) = server.queue
        await request.reached("COMPLETED", timeout=20)
        assert request.logs
        async with session.get((await submitted.json())["response_url"]) as response:
            assert (response.status, response.headers["X-Fal-Billable-Units"]) == (200, units)
            async with session.post(f"/{app}", json=input) as direct:
                assert await direct.read() == await response.read()
