"""asyncio to Rx and back: Streams, their event loops, backpressure. Knows nothing of fal or HTTP.

On which thread does a callback run? On the one that the item came from. A source is a coroutine in a task (`reader`) on
one event loop, and hands each item to its observer with a plain call. From there it goes through the operators to the
callback by plain calls too, so everything runs on that loop's thread, unless an operator crosses to another one
(`on_loop`, `on_thread`, `observe_on`).

Which loop is that? `Stream.subscribe` decides it once, when it is called: the running loop, else the background loop
(`background`). It puts the loop into a `LoopScheduler`, which operators pass from the outermost subscription up to the
source. The scheduler also carries what belongs to the subscription as a whole: the demand gate (`gate`), by which a
full consumer pauses the sources, and the consumer, which is told when something on the way breaks.

A thread that is not the loop's never calls into it. It asks the loop to call back (`hops`), as soon as the subscription
that it is making has been set up.

In reading order: `stream` (what users hold), `observer` (the Rx grammar, and who gets an exception), `reader`,
`scheduler`, `background`, `hops`, `gate`, `iterate` (pulling), `watchdog` and `clock` (time), `merge`, `race` and
`concurrent` (several streams), `fluent` and `guard`; and `operators/`, one to a file.
"""
