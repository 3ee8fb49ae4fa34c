"""asyncio to Rx and back: Streams, their event loops, backpressure. Knows nothing of fal or HTTP."""
