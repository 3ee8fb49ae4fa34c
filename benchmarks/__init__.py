"""How rxfal compares with its peers: `python -m benchmarks`, or `make bench`."""
