"""rxfal: the reactive client for fal models."""
