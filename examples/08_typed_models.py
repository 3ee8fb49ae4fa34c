"""Typed end to end: the models in fast_julia.py were made by `rxfal types fal-ai/fast-julia -o fast_julia.py`."""

import fast_julia
from _embedded import client_or_demo
from pydantic import ValidationError

wish = fast_julia.Input(prompt="a lighthouse in a storm", size=64)

with client_or_demo() as client:
    result = client.run("fal-ai/fast-julia", wish, output=fast_julia.Output).run()
    image = result.images[0]
    print(f"{image.width} x {image.height}, {image.content_type}")

try:
    fast_julia.Input(prompt="a lighthouse in a storm", size=4096)
except ValidationError as error:
    print(f"not sent: {error.errors()[0]['msg']}")
