"""fal's protocol as plain asyncio: bytes, requests, addresses and secrets. Knows nothing of Rx."""
