"""The examples run as a user runs them: each in a process of its own, without a key, with warnings as errors."""

import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from rxfal.testing import FalServer

_ROOT = Path(__file__).parent.parent
_EXAMPLES = sorted(_ROOT.glob("examples/[0-9]*.py"))


@pytest.fixture(scope="module")
def started() -> Iterator[dict[str, subprocess.Popen[str]]]:
    """All examples at once: they mostly wait for their server."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("FAL_", "RXFAL_"))}
    processes = {
        example.stem: subprocess.Popen(
            [sys.executable, "-X", "dev", "-W", "error", str(example)],
            env={**ours, "PYTHONPATH": str(_ROOT), "NO_PROXY": "127.0.0.1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for example in _EXAMPLES
    }
    yield processes
    for process in processes.values():
        process.kill()
        process.communicate()


def _lines(process: subprocess.Popen[str]) -> list[str]:
    output, errors = process.communicate(timeout=60)
    # In development mode asyncio reports what takes 0.1 s, which on a busy machine may be anything.
    complaints = [text for text in errors.splitlines() if not text.startswith("Executing <")]
    assert (process.returncode, complaints) == (0, [])
    return output.splitlines()


def test_they_are_numbered_and_short() -> None:
    assert [example.name[:2] for example in _EXAMPLES] == [f"{number:02}" for number in range(1, len(_EXAMPLES) + 1)]
    assert [example.name for example in _EXAMPLES if len(example.read_text().splitlines()) > 40] == []


def test_callbacks_print_the_answer_piece_by_piece_and_the_end(started: dict[str, subprocess.Popen[str]]) -> None:
    text, end = _lines(started["01_callbacks"])
    assert "rivers" in text
    assert text.endswith(".")
    assert end == "[completed]"


def test_the_pipeline_prints_whole_sentences_and_counts_their_words(started: dict[str, subprocess.Popen[str]]) -> None:
    *sentences, count = _lines(started["02_pipeline"])
    assert len(sentences) > 3
    assert all(sentence.startswith("- ") and sentence.endswith(".") for sentence in sentences)
    assert count == f"{sum(len(sentence.split()) - 1 for sentence in sentences)} words"


def test_merging_shows_both_models_in_turn_and_both_whole_texts(started: dict[str, subprocess.Popen[str]]) -> None:
    lines = _lines(started["03_merging_models"])
    tags = [line.split()[0] for line in lines if "characters" in line]
    assert tags.index("sonnet") < len(tags) - 1 - tags[::-1].index("haiku"), "one after the other, not at once"
    for name in ("haiku", "sonnet"):
        whole = lines[lines.index(f"{name}:") + 1]
        *_, last = (line for line in lines if line.split()[:1] == [name])
        assert int(last.split()[1]) == len(whole)


def test_async_for_stops_early_and_await_gets_the_whole(started: dict[str, subprocess.Popen[str]]) -> None:
    *texts, whole = _lines(started["04_async_for"])
    assert [len(text) > 60 for text in texts] == [False] * (len(texts) - 1) + [True]
    assert all(later.startswith(earlier) for earlier, later in pairwise(texts))
    assert int(whole.split()[1]) > len(texts[-1])


def test_the_plain_script_prints_typed_events_and_what_was_refused(started: dict[str, subprocess.Popen[str]]) -> None:
    *events, last, again, refused = _lines(started["05_plain_script"])
    assert [int(line.split()[0]) for line in (*events, last)] == list(range(1, len(events) + 2))
    assert again.endswith(last.split(maxsplit=1)[1].strip("'"))
    assert refused == "refused: Field required"


def test_files_go_up_and_come_down(started: dict[str, subprocess.Popen[str]]) -> None:
    lines = _lines(started["06_files"])
    assert [line.split()[0] for line in lines if line.startswith("sent")] == ["sent"] * 5
    assert lines[4] == "sent 100%"
    assert lines[5].startswith("it is at http")
    assert lines[-1] == "saved 0.png, image/png"


def test_the_budget_stops_the_program(started: dict[str, subprocess.Popen[str]]) -> None:
    price, *calls, end = _lines(started["07_costs"])
    assert price.startswith("0.003 USD a unit (megapixels); 100 calls: about 0.30")
    assert len(calls) == 4
    assert end == "that is enough"


def test_a_typed_model_goes_in_and_comes_out(started: dict[str, subprocess.Popen[str]]) -> None:
    assert _lines(started["08_typed_models"]) == [
        "64 x 64, image/png",
        "not sent: Input should be less than or equal to 512",
    ]


def test_a_long_job_is_found_again_by_its_handle(started: dict[str, subprocess.Popen[str]]) -> None:
    first, *updates, done, cancelled = _lines(started["09_long_jobs"])
    assert first.startswith("submitted: ")
    assert updates[-1] == "working: pass 8 of 8"
    assert (done, cancelled) == ("done: 96 pixels wide", "too late to cancel: ALREADY_COMPLETED")


def test_the_module_with_the_models_is_what_rxfal_types_writes() -> None:
    from rxfal.cli.typed_models import source

    with FalServer(models=True) as server, server.client() as client:
        made = source(client.models.schema("fal-ai/fast-julia").run())
    assert (_ROOT / "examples" / "fast_julia.py").read_text() == made
