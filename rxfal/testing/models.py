"""The built-in models of the embedded server: what they take, what they send and how fast.

Two language models, an image model and a speech model; the art itself is in `words`, `pictures` and `sounds`.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from . import pictures, sounds, words
from .apps import App
from .job import Job

__all__ = ["BARD", "JULIA", "LLM", "SPEECH", "built_in"]

LLM = "fal-ai/any-llm"
"""A language model that explains, at 45 tokens a second."""
BARD = "rxfal/bard"
"""A language model that rhymes, slower to start and at 28 tokens a second."""
JULIA = "fal-ai/fast-julia"
"""An image model: a Julia set that sharpens in eight passes."""
SPEECH = "fal-ai/speech"
"""A speech model: a WAV that arrives in pieces."""

_PASS_SECONDS = 0.3
_LETTER_SECONDS = 0.02


class _Input(BaseModel):
    model_config = ConfigDict(
        coerce_numbers_to_str=True
    )  # a query has no types: with GET, a prompt may look like a number


class LanguageInput(_Input):
    """What the language models take."""

    prompt: str = Field(min_length=1)
    tokens_per_second: float | None = Field(default=None, gt=0)
    max_tokens: int | None = Field(default=None, gt=0)


class ImageInput(_Input):
    """What the image model takes."""

    prompt: str = Field(min_length=1)
    size: int = Field(default=256, ge=16, le=512)


class SpeechInput(_Input):
    """What the speech model takes."""

    text: str = Field(min_length=1, max_length=2000, validation_alias=AliasChoices("prompt", "text"))


class LanguageOutput(BaseModel):
    """What the language models send: the text so far."""

    output: str
    partial: bool
    reasoning: str | None = None
    error: str | None = None


class Image(BaseModel):
    """A picture."""

    url: str
    width: int
    height: int
    content_type: str


class ImageOutput(BaseModel):
    """What the image model sends: the picture as far as it has come."""

    images: list[Image]
    progress: float
    prompt: str


def built_in(pace: Callable[[], float]) -> dict[str, App]:
    """The built-in models by their endpoints.

    Args:
        pace: Returns a factor for the time that they take. It is called for every pause; 0 means no pause.
    """

    async def wait(seconds: float) -> None:
        factor = pace()
        if factor > 0:
            await asyncio.sleep(seconds * factor)

    def language(write: Callable[[str], str], description: str, *, thinking: float, tokens_per_second: float) -> App:
        async def model(input: LanguageInput, job: Job) -> AsyncGenerator[LanguageOutput, None]:
            pieces = words.tokens(write(input.prompt))[: input.max_tokens]
            job.billable_units = len(pieces) / 1000
            job.log("thinking")
            interval = 1 / (input.tokens_per_second or tokens_per_second)
            await wait(thinking)
            job.log(f"writing {len(pieces)} tokens")
            text = ""
            for piece in pieces:
                text += piece
                yield LanguageOutput(output=text, partial=True)
                await wait(interval)
            yield LanguageOutput(output=text, partial=False)

        model.__doc__ = description
        return App(model, category="llm", price=0.001, unit="1000 tokens")

    async def julia(input: ImageInput, job: Job) -> AsyncGenerator[ImageOutput, None]:
        """Paints a Julia set, and sharpens it in eight passes."""
        job.billable_units = input.size**2 / 1_000_000
        picture = pictures.JuliaSet(input.prompt, input.size)
        for step in range(pictures.PASSES):
            job.log(f"pass {step + 1} of {pictures.PASSES}")
            for _ in picture.refine(step):
                await asyncio.sleep(0)  # a row takes a millisecond: other streams must not wait for the whole picture
            url = picture.data_uri(step)
            image = Image(url=url, width=input.size, height=input.size, content_type="image/png")
            yield ImageOutput(images=[image], progress=(step + 1) / pictures.PASSES, prompt=input.prompt)
            await wait(_PASS_SECONDS)

    async def speech(input: SpeechInput, job: Job) -> AsyncGenerator[bytes, None]:
        """Speaks a text, letter by letter."""
        job.billable_units = len(input.text) / 1000
        job.log(f"speaking {len(input.text)} letters")
        for piece in sounds.speak(input.text):
            yield piece
            await wait(_LETTER_SECONDS)

    return {
        LLM: language(words.prose, "Explains whatever you ask about.", thinking=0.2, tokens_per_second=45),
        BARD: language(words.verse, "Rhymes about whatever you ask.", thinking=0.5, tokens_per_second=28),
        JULIA: App(julia, category="text-to-image", price=0.003, unit="megapixels"),
        SPEECH: App(speech, content_type="audio/wav", category="text-to-speech", price=0.03, unit="1000 characters"),
    }
