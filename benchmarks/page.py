"""The results page: `docs/benchmarks.md` and its chart, made from `results/*.json`. `python -m benchmarks.page`

Every figure on it comes from a result, and every comparison is a ratio of two figures of one run.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks import charts

RESULTS = Path(__file__).parent / "results"
DOCS = Path(__file__).parent.parent / "docs"

Result = dict[str, Any]
Row = dict[str, Any]

_HEAD = """\
# Benchmarks

How fast is rxfal next to other ways of streaming from fal? This page is generated from the results of `make bench` on
one machine. Expect roughly the same ratios on yours. The absolute figures will differ.
"""


def figure(value: Any) -> str:
    """A figure as a reader wants it: three digits that count."""
    if value is None:
        return ""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return str(value)
    if 0 < value < 0.01:
        return f"1/{1 / value:,.0f}"
    return f"{value:,.0f}" if value == 0 or abs(value) >= 100 else f"{float(f'{value:.3g}'):g}"


def table(rows: Sequence[Row], columns: dict[str, str]) -> str:
    """A Markdown table; `columns` maps keys of a row to headings."""
    numeric = [any(isinstance(row.get(key), int | float) for row in rows) for key in columns]
    lines = [
        "| " + " | ".join(columns.values()) + " |",
        "| " + " | ".join("---:" if right else "---" for right in numeric) + " |",
    ]
    lines += ["| " + " | ".join(figure(row.get(key)) for key in columns) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def by_case(rows: Sequence[Row]) -> dict[str, list[Row]]:
    cases: dict[str, list[Row]] = {}
    for row in rows:
        cases.setdefault(row["case"], []).append(row)
    return cases


def tables(rows: Sequence[Row], columns: dict[str, str]) -> Iterator[str]:
    """A table for each case, under its name."""
    for case, those in by_case(rows).items():
        yield f"**{case[0].upper()}{case[1:]}**\n\n{table(those, columns)}"


def folded(summary: str, result: Result, parts: Iterable[str]) -> str:
    """Tables that a reader unfolds, and what they were measured with."""
    body = "\n".join([*parts, made_with(result)])
    return f'<details markdown="1">\n<summary>{summary}</summary>\n\n{body}\n</details>\n'


def made_with(result: Result) -> str:
    """On what, with what and when."""
    machine = result["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return (
        f"*{machine['date'][:10]}, {machine['python']}, {machine['processor']}, {machine['cpus']} CPUs; {versions}.*\n"
    )


def chart(result: Result) -> Iterator[str]:
    """What live streams are like: one event in each chunk."""
    rows = [row for row in by_case(result["rows"])["tokens, 1 a chunk"] if "bytes only" not in row["peer"]]
    path = DOCS / "benchmarks" / "throughput.svg"
    times = {row["peer"]: row["x_fal_client"] for row in rows}
    charts.bars(path, times, {peer: f"{figure(value)} ×" for peer, value in times.items()})
    yield (
        "Events per second of CPU time on one stream, with one short event in each chunk, as live models send them. "
        "fal-client is 1; longer is faster.\n"
    )
    yield f"![Events per second of CPU time, as a multiple of fal-client](benchmarks/{path.name}){{ .chart }}\n"


def throughput(result: Result) -> Iterator[str]:
    columns = {
        "peer": "peer",
        "x_fal_client": "× fal-client",
        "x_bare": "× rxfal subscribe",
        "cpu_us_per_event": "µs of CPU per event",
        "events_per_s": "events/s",
        "lost": "events lost",
    }
    yield (
        "A server process writes one stream as fast as it can. Each peer parses, decodes and counts every event. "
        "The peers are compared by the CPU time of their process, because the fastest of them wait for the server. The "
        "best of seven rounds counts. Node gets fewer events, because it takes longer.\n"
    )
    yield (
        "- `aiohttp, bytes only` is the floor: it counts bytes and decodes nothing.\n"
        "- `rxfal pipeline` is `timeout → map → buffer(count=10) → map → last`.\n"
        "- *100 a chunk* is a server that sends a hundred events at a time; *cumulative* events carry the whole text "
        "so far, as `fal-ai/any-llm` sends them; *images* are data URIs of 200 kB.\n"
    )
    yield folded("All throughput figures", result, tables(result["rows"], columns))


def concurrency(result: Result) -> Iterator[str]:
    columns = {
        "peer": "peer",
        "cpu_of_fal_client": "CPU, fal-client = 1",
        "cpu_us_per_event": "µs of CPU per event",
        "kb_per_stream": "kB per stream",
        "p50_ms": "median delay, ms",
        "p99_ms": "99th percentile, ms",
    }
    yield (
        f"Many streams at once, with {result['pace']} events per second on each. Delay is the time from the server's "
        "write to the callback; memory is what one more open stream adds.\n"
    )
    yield (
        "- *Evenly spread*: almost every event wakes the process up, so most of the CPU time is spent in the kernel "
        "and the event loop.\n"
        "- *In step*: all streams get their event at the same moment, as from an inference server that decodes its "
        "requests in one batch.\n"
        "- *Over TLS*: as with fal's own servers. All streams are opened at once.\n"
        "- `asyncio, without HTTP` is the floor: an asyncio protocol that looks for `data:` lines, and `json.loads`. "
        "asyncio receives each event into 256 KiB of new memory and cuts that to what came, so the allocator has its "
        "part in this figure. The same goes for rxfal, and for `aiohttp by hand`, which takes what has come with "
        "`iter_any`.\n"
        "- fal-client opens 100 streams per client and lets the others wait. Here it has as many clients as it "
        "needs.\n"
        "- `rxfal subscribe, uvloop` is the same on [uvloop](https://github.com/MagicStack/uvloop): "
        "`uvloop.run(main())` in place of `asyncio.run(main())`.\n"
        "- A peer that can't keep up shows longer delays, and then reads several events at a time, which makes each of "
        "them cheaper.\n"
    )
    yield folded("All concurrency figures", result, tables(result["rows"], columns))


def latency(result: Result) -> Iterator[str]:
    columns = {
        "peer": "peer",
        "x_aiohttp": "median, aiohttp = 1",
        "p50_us": "median, µs",
        "p99_us": "99th percentile, µs",
        "over_aiohttp_us": "median over aiohttp, µs",
    }
    yield (
        "The time from the call to the first event, one stream at a time, with the server on the same machine: what "
        "the client adds to the network's time and the model's. A warm connection is open already; a cold one is "
        "opened first.\n"
    )
    yield folded("All latency figures", result, tables(result["rows"], columns))


def startup(result: Result) -> Iterator[str]:
    columns = {
        "peer": "peer",
        "of_fal_client": "CPU, fal-client = 1",
        "cpu_ms": "ms of CPU",
        "more_ms": "ms more than the dependencies, or without the plugin",
    }
    yield (
        "The CPU time of a new process until it has imported something, from compiled modules, Python's own start "
        f"included; the best of {result['rounds']}. rxfal loads each part when it is first used: `import rxfal` alone "
        "loads next to nothing, and a first `stream()` what a stream needs, which is mostly aiohttp.\n"
    )
    yield folded("All start-up figures", result, tables(result["rows"], columns))


def operators(result: Result) -> Iterator[str]:
    columns = {"case": "operator", "rxfal_us": "rxfal, µs", "reactivex_us": "reactivex, µs", "ratio": "ratio"}
    yield (
        "What one operator adds to the cost of an event, in microseconds. The ratio says how many times as much "
        "reactivex's operator costs. For `buffer` that is the `buffer_with_...` that does the same, and for "
        "`throttle_latest` the closest one, `throttle_first`. Without a ratio there is none to compare with.\n"
    )
    yield folded("All operator figures", result, [table(result["rows"], columns)])


def decoder(result: Result) -> Iterator[str]:
    columns = {"peer": "peer", "ratio": "time", "mb_per_s": "MB/s", "events_per_s": "events/s"}
    yield (
        "Parsing an event stream alone, without network or JSON. `feed_raw`, which `stream()` uses, gives bytes; "
        "`feed` gives `ServerSentEvent`s. Time is CPU time, relative to `feed_raw`. eventsource-parser runs in "
        "Node.\n"
    )
    yield folded("All decoder figures", result, tables(result["rows"], columns))


SECTIONS: dict[str, tuple[str, Callable[[Result], Iterator[str]]]] = {
    "throughput": ("Throughput", throughput),
    "concurrency": ("Many streams", concurrency),
    "latency": ("Time to the first event", latency),
    "startup": ("Starting", startup),
    "operators": ("Operators", operators),
    "decoder": ("The decoder", decoder),
}


def headlines(results: dict[str, Result]) -> Iterator[str]:
    """The ratios that answer what most readers came for."""

    def of(result: str, case: str, peer: str | None, key: str) -> float:
        rows = results[result]["rows"]
        return next(row[key] for row in rows if row["case"] == case and row.get("peer") == peer)

    if "throughput" in results:
        one, hundred = (
            of("throughput", f"tokens, {chunk} a chunk", "rxfal subscribe", "x_fal_client") for chunk in (1, 100)
        )
        yield (
            f"- **Throughput.** With one event in each chunk, `subscribe` takes {figure(one)} times as many events per "
            f"second of CPU time as fal-client; with a hundred in each chunk, {figure(hundred)} times as many."
        )
    if "concurrency" in results:
        for case, how in (("evenly spread", "at an even pace"), ("in step", "in step")):
            ours, by_hand, floor = (
                of("concurrency", f"400 streams, {case}", peer, "cpu_of_fal_client")
                for peer in ("rxfal subscribe", "aiohttp by hand", "asyncio, without HTTP")
            )
            yield (
                f"- **400 streams {how}** take {ours:.0%} of the CPU time that they take with fal-client. With aiohttp "
                f"by hand it is {by_hand:.0%}, with asyncio and `json` alone {floor:.0%}."
            )
        even, step, tls = "400 streams, evenly spread", "400 streams, in step", "200 streams, evenly spread, over TLS"

        def less(case: str, key: str, than: str) -> float:
            return of("concurrency", case, "rxfal subscribe", key) / of("concurrency", case, than, key)

        memory = [less(case, "kb_per_stream", "fal-client") for case in (even, tls)]
        yield "- **Memory.** An open stream takes {:.0%} of what it takes with fal-client; over TLS, {:.0%}.".format(
            *memory
        )
        if any(row["peer"] == "rxfal subscribe, uvloop" for row in results["concurrency"]["rows"]):
            cpu = [1 / less(case, "cpu_us_per_event", "rxfal subscribe, uvloop") for case in (even, step, tls)]
            yield (
                "- **uvloop.** On it, `subscribe` takes {:.0%} of the CPU time that it takes on asyncio's own loop for "
                "400 streams at an even pace, {:.0%} for 400 in step, and {:.0%} for 200 over TLS.".format(*cpu)
            )
    if "latency" in results:
        ours = of("latency", "warm connection", 'rxfal, auth="key"', "x_aiohttp")
        theirs = of("latency", "warm connection", "fal-client", "x_aiohttp")
        yield (
            f"- **Time to the first event.** On a warm connection it is {figure(ours)} times that of bare aiohttp; "
            f"with fal-client {figure(theirs)} times."
        )
    if "startup" in results:
        peers = ("rxfal", "rxfal, first stream()", "aiohttp, reactivex, pydantic")
        alone, first, dependencies = (of("startup", "importing", peer, "of_fal_client") for peer in peers)
        yield (
            f"- **Starting.** `import rxfal` takes {alone:.0%} of the CPU time of `import fal_client`. With a first "
            f"`stream()` it is {figure(first)} times, of which {figure(dependencies)} are the dependencies."
        )
    if "operators" in results:
        timeout = of("operators", "timeout(60)", None, "ratio")
        yield f"- **Operators.** reactivex's own `timeout` costs {figure(timeout)} times as much per event as rxfal's."


def main() -> None:
    """Write the page and its chart from the results that there are."""
    paths = {name: RESULTS / f"{name}.json" for name in SECTIONS}
    results: dict[str, Result] = {
        name: json.loads(path.read_text("utf-8")) for name, path in paths.items() if path.exists()
    }
    parts = [_HEAD, *(chart(results["throughput"]) if "throughput" in results else ())]
    parts.append("\n".join(headlines(results)) + "\n")
    for name, result in results.items():
        heading, section = SECTIONS[name]
        parts += [f"## {heading}\n", *section(result)]
    (DOCS / "benchmarks.md").write_text("\n".join(parts), "utf-8")
    print("docs/benchmarks.md")


if __name__ == "__main__":
    main()
