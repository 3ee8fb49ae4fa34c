"""An operator pipeline: events in, sentences out, with a limit on silence and a count of words at the end."""

from _embedded import client_or_demo

from rxfal import operators as ops

with client_or_demo() as client:
    pieces = client.stream("fal-ai/any-llm", {"prompt": "the patience of rivers"}).pipe(
        ops.timeout(30.0),  # StreamTimeoutError when nothing comes for so long
        ops.deltas(),  # only what is new in each event
        ops.share(),  # one request for the two who listen
    )
    sentences = pieces.pipe(
        ops.buffer(pieces.filter(lambda piece: piece.rstrip().endswith("."))),
        ops.map("".join),
        ops.map(str.strip),
        ops.filter(bool),
        ops.do_action(lambda sentence: print("-", sentence)),
    )
    words = sentences.pipe(ops.map(lambda sentence: len(sentence.split())), ops.sum()).run()
    print(f"{words} words")
