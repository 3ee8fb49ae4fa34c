"""From asyncio to Rx and back: Streams, their event loops and backpressure. Knows nothing about fal or HTTP.

Which thread does a callback run on? The one its item came from. A source is a coroutine in a task (`reader`) on one
event loop, and it passes each item to its observer with a plain call. The operators and the callback are plain calls
too, so everything runs on that loop's thread, unless an operator switches to another one (`on_loop`, `on_thread`,
`observe_on`).

Which loop is that? `Stream.subscribe` decides once, when it is called: the running loop if there is one, otherwise the
background loop (`background`). It puts the loop into a `LoopScheduler`, which operators pass from the outermost
subscription up to the source. The scheduler also carries what belongs to the subscription as a whole: the demand gate
(`gate`), through which a full consumer pauses the sources, and the consumer, which is told if something in the chain
breaks.

No other thread ever calls into the loop. Instead it schedules a callback on the loop (`hops`), which runs once the
subscription being made has been set up.

In reading order: `stream` (what users hold), `observer` (the Rx grammar, and who gets an exception), `reader`,
`scheduler`, `background`, `hops`, `gate`, `iterate` (pulling), `watchdog` and `clock` (time), `merge`, `race` and
`concurrent` (several streams), `fluent`, `guard`, and `operators/`, with one operator per file.
"""
