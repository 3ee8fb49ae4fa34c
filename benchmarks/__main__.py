"""Run the benchmarks, all or those named, and write the results page.

python -m benchmarks [NAME ...] [--quick]
"""

import argparse
import importlib
import inspect

from benchmarks import _report, page

NAMES = ("decoder", "operators", "throughput", "concurrency", "latency", "startup")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure rxfal beside its peers.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; all when left out")
    parser.add_argument(
        "--quick", action="store_true", help="small and imprecise; written to results/quick, and not to the page"
    )
    given = parser.parse_args()
    if unknown := set(given.names) - {*NAMES}:
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    if given.quick:
        _report.RESULTS /= "quick"
        _report.RESULTS.mkdir(parents=True, exist_ok=True)
    for name in given.names or NAMES:
        benchmark = importlib.import_module(f"benchmarks.{name}").main
        if given.quick and "quick" in inspect.signature(benchmark).parameters:
            benchmark(quick=True)
        else:
            benchmark()
    if not given.quick:
        page.main()


if __name__ == "__main__":
    main()
