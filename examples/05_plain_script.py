"""A plain script: no event loop, no callbacks, and each event typed by a pydantic model."""

from _embedded import client_or_demo
from pydantic import BaseModel

import rxfal


class Answer(BaseModel):
    output: str
    partial: bool = False


with client_or_demo() as client:
    stream = client.stream("fal-ai/any-llm", {"prompt": "the sound of rivers"}, output=Answer)
    for number, answer in enumerate(stream, start=1):
        print(f"{number:3} {answer.output[-60:]!r}")
    print("the same once more:", stream.run().output)

    try:
        client.stream("fal-ai/any-llm", {}).run()
    except rxfal.ValidationError as error:
        print("refused:", error.field_errors[0]["msg"])
