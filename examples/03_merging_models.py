"""Merging: several models at once, each item tagged with where it came from, shown at a pace that eyes can follow."""

from _embedded import client_or_demo

import rxfal
from rxfal import operators as ops

with client_or_demo() as client:

    def ask(prompt: str) -> rxfal.Stream[str]:
        return client.stream("fal-ai/any-llm", {"prompt": prompt}).pipe(ops.text(), ops.throttle_latest(0.2))

    texts: dict[str, str] = {}
    for tag, text in rxfal.merge(haiku=ask("a haiku about rivers"), sonnet=ask("a sonnet about the sea")):
        texts[tag] = text
        print(f"{tag:>6} {len(text):4} characters  ...{text[-40:]!r}")

for tag, text in texts.items():
    print(f"\n{tag}:\n{text}")
