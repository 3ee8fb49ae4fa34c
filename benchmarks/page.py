"""The results page: `docs/benchmarks.md` and its charts, made from `results/*.json`. `python -m benchmarks.page`

Every figure on it comes from a result, and every comparison is a ratio of two figures of one run.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks import charts

RESULTS = Path(__file__).parent / "results"
DOCS = Path(__file__).parent.parent / "docs"

Result = dict[str, Any]
Row = dict[str, Any]

_HEAD = """\
# Benchmarks

What rxfal costs, beside its peers, as measured by `make bench`. **This page is generated** from the
results of one machine: the ratios carry over to others, roughly; the figures themselves do not.
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


def made_with(result: Result) -> str:
    """On what, with what and when: one line under a section's heading."""
    machine = result["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return (
        f"*{machine['date'][:10]}, {machine['python']}, {machine['processor']}, {machine['cpus']} cpus; {versions}.*\n"
    )


def picture(name: str, alt: str) -> str:
    return f"![{alt}](benchmarks/{name}.svg)\n"


def throughput(result: Result) -> Iterator[str]:
    yield (
        "One stream from a server process that writes as fast as it can; each peer parses and decodes every event and "
        "counts it. The best of seven rounds is shown; Node gets fewer events, since it takes longer. `aiohttp, bytes "
        "only` is the floor: it counts bytes and decodes nothing. The pipeline is "
        "`timeout → map → buffer(count=10) → map → last`. A column ×&nbsp;says how many times as many events a second "
        "as that peer.\n"
    )
    cases = by_case(result["rows"])
    yield picture("throughput", "Events a second of each peer, as a multiple of fal-client")
    charts.bars(
        DOCS / "benchmarks" / "throughput.svg",
        {case: {row["peer"]: row["x_fal_client"] for row in rows[1:]} for case, rows in cases.items()},  # but the floor
        "events a second, fal-client = 1",
    )
    columns = {
        "peer": "peer",
        "x_fal_client": "× fal-client",
        "x_bare": "× rxfal subscribe",
        "events_per_s": "events/s",
        "cpu_us_per_event": "µs of cpu an event",
        "lost": "events lost",
    }
    for case, rows in cases.items():
        yield f"### {case[0].upper()}{case[1:]}\n\n{table(rows, columns)}"


def decoder(result: Result) -> Iterator[str]:
    yield (
        "Only the parsing of an event stream, without a network and without JSON. `feed_raw` gives bytes and is what "
        "`stream()` uses, `feed` gives `ServerSentEvent`s. The ratio is the time taken, `feed_raw` being 1.\n"
    )
    columns = {"peer": "peer", "ratio": "time", "mb_per_s": "MB/s", "events_per_s": "events/s"}
    for case, rows in by_case(result["rows"]).items():
        yield f"### {case}\n\n{table(rows, columns)}"


def operators(result: Result) -> Iterator[str]:
    yield (
        "What an operator adds to the cost of an event, in microseconds, rxfal's beside reactivex's: for `buffer` the "
        "`buffer_with_...` that does the same, for `throttle_latest` its nearest kin, `throttle_first`. "
        "The ratio says how many times as much reactivex's costs; where there is none, reactivex has no such one.\n"
    )
    yield table(
        result["rows"], {"case": "operator", "rxfal_us": "rxfal, µs", "reactivex_us": "reactivex, µs", "ratio": "ratio"}
    )


def concurrency(result: Result) -> Iterator[str]:
    yield (
        f"Many streams at once, {result['pace']} events a second on each. *Evenly spread*, nearly every event is a "
        "wake-up of its own, so most of the cpu is the kernel's and the event loop's. *In step*, all streams get their "
        "event at the same moment, as from an inference server that decodes its requests as one batch, and a wake-up "
        "serves many. `asyncio, without HTTP` is the floor: an asyncio protocol that looks for `data:` lines in what "
        "the socket gives, and `json.loads`. Delay is from the server's write to the callback. Memory is what an open "
        "stream adds. fal-client lets 100 streams through per client, and makes the others wait in silence; here it "
        "has as many clients as it needs. A peer that can't keep up shows in its delays: it then reads several events "
        "at a time, which makes each of them cheaper.\n"
    )
    cases = by_case(result["rows"])
    yield picture("concurrency", "Cpu and delay of each peer by the number of streams")
    pacings: dict[str, dict[str, list[Row]]] = {}
    for case, rows in cases.items():
        streams, _, pacing = case.partition(" streams, ")
        pacings.setdefault(pacing, {})[streams] = rows
    charts.lines(
        DOCS / "benchmarks" / "concurrency.svg",
        [int(streams) for streams in next(iter(pacings.values()))],
        {
            f"{pacing}: {title}": _by_peer(levels, key)
            for pacing, levels in pacings.items()
            for key, title in (("cpu_us_per_event", "cpu, µs an event"), ("p50_ms", "median delay, ms"))
        },
        "streams",
    )
    columns = {
        "peer": "peer",
        "cpu_of_fal_client": "cpu, fal-client = 1",
        "cpu_us_per_event": "µs of cpu an event",
        "kb_per_stream": "kB a stream",
        "p50_ms": "median delay, ms",
        "p99_ms": "99th percentile, ms",
    }
    for case, rows in cases.items():
        yield f"### {case}\n\n{table(rows, columns)}"


def _by_peer(cases: dict[str, list[Row]], key: str) -> dict[str, list[float]]:
    peers: dict[str, list[float]] = {}
    for rows in cases.values():
        for row in rows:
            peers.setdefault(row["peer"], []).append(row[key])
    return peers


def latency(result: Result) -> Iterator[str]:
    yield (
        "From the call to the first event, one stream at a time, on loopback: what a client adds to the time that the "
        "network and the model take. A warm connection was there before; a cold one is opened first.\n"
    )
    cases = by_case(result["rows"])
    yield picture("latency", "Median time to the first event, as a multiple of aiohttp's")
    charts.bars(
        DOCS / "benchmarks" / "latency.svg",
        {case: {row["peer"]: row["x_aiohttp"] for row in rows} for case, rows in cases.items()},
        "median time to the first event, aiohttp = 1",
    )
    columns = {
        "peer": "peer",
        "x_aiohttp": "median, aiohttp = 1",
        "p50_us": "median, µs",
        "p99_us": "99th percentile, µs",
        "over_aiohttp_us": "median over aiohttp, µs",
    }
    for case, rows in cases.items():
        yield f"### {case[0].upper()}{case[1:]}\n\n{table(rows, columns)}"


SECTIONS: dict[str, tuple[str, Callable[[Result], Iterator[str]]]] = {
    "throughput": ("Throughput", throughput),
    "concurrency": ("Concurrency", concurrency),
    "latency": ("Latency", latency),
    "operators": ("Operators", operators),
    "decoder": ("Decoder", decoder),
}


def headlines(results: dict[str, Result]) -> Iterator[str]:
    """The ratios that answer what most readers came for."""

    def of(result: str, case: str, peer: str | None, key: str) -> str:
        rows = results[result]["rows"]
        return figure(next(row[key] for row in rows if row["case"] == case and row.get("peer") == peer))

    if "throughput" in results:
        for events, case in (("a hundred events", "tokens, 100 a chunk"), ("one event", "tokens, 1 a chunk")):
            bare = of("throughput", case, "rxfal subscribe", "x_fal_client")
            pulled = of("throughput", case, "rxfal async for", "x_bare")
            piped = of("throughput", case, "rxfal pipeline", "x_bare")
            yield (
                f"- With {events} in each chunk, `subscribe` takes **{bare} times** as many tokens a second as "
                f"fal-client. `async for` takes {pulled} times as many as `subscribe`, five operators {piped}."
            )
    if "concurrency" in results:
        for case, how in (("in step", "in step"), ("evenly spread", "at an even pace")):
            ours, by_hand, floor = (
                of("concurrency", f"400 streams, {case}", peer, "cpu_of_fal_client")
                for peer in ("rxfal subscribe", "aiohttp by hand", "asyncio, without HTTP")
            )
            yield (
                f"- 400 streams {how} cost **{ours}** of the cpu that they cost with fal-client, with aiohttp by hand "
                f"{by_hand}, with asyncio and `json` alone {floor}."
            )
    if "latency" in results:
        ours = of("latency", "warm connection", 'rxfal, auth="key"', "x_aiohttp")
        theirs = of("latency", "warm connection", "fal-client", "x_aiohttp")
        yield (
            f"- On a warm connection the first event comes after **{ours} times** the time that bare aiohttp takes, "
            f"with fal-client after {theirs} times."
        )
    if "operators" in results:
        timeout = of("operators", "timeout(60)", None, "ratio")
        yield f"- What `timeout` adds to the cost of an event is **{timeout} times** as much with reactivex's own."


def main() -> None:
    """Write the page and its charts from the results that there are."""
    paths = {name: RESULTS / f"{name}.json" for name in SECTIONS}
    results: dict[str, Result] = {
        name: json.loads(path.read_text("utf-8")) for name, path in paths.items() if path.exists()
    }
    parts = [_HEAD, "\n".join(headlines(results)) + "\n"]
    for name, result in results.items():
        heading, section = SECTIONS[name]
        parts += [f"## {heading}\n", *section(result), made_with(result)]
    (DOCS / "benchmarks.md").write_text("\n".join(parts), "utf-8")
    print("docs/benchmarks.md")


if __name__ == "__main__":
    main()
