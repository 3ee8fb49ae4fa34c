"""What fal-ai/fast-julia takes, `Input`, and gives, `Output`.

Made by `rxfal types fal-ai/fast-julia` from the schema at fal; make it again rather than change it.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field


class Image(BaseModel):
    """
    A picture.
    """

    url: str
    width: int
    height: int
    content_type: str


class Input(BaseModel):
    """
    What the image model takes.
    """

    prompt: Annotated[str, Field(min_length=1)]
    size: Annotated[int | None, Field(ge=16, le=512)] = 256


class Output(BaseModel):
    """
    What the image model sends: the picture as far as it has come.
    """

    images: list[Image]
    progress: float
    prompt: str
