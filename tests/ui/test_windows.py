"""`on_qt` and `on_tk` in real windows, each scenario in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.needs import need_modules, need_programs

ROOT = Path(__file__).parents[2]
BINDINGS = pytest.mark.parametrize("toolkit", ["PySide6", "PyQt6", "tkinter"])
QT = pytest.mark.parametrize("toolkit", ["PySide6", "PyQt6"])


def play(toolkit: str, scenario: str) -> dict[str, Any]:
    """What a program reports; it prints nothing else, and warns of nothing."""
    need_modules(toolkit)
    command = [sys.executable, "-X", "dev", "-W", "error", "-m"]
    if toolkit == "tkinter":
        need_programs("xvfb-run")
        command = ["xvfb-run", "-a", *command, "tests.ui.tk_program", scenario]
    else:
        command += ["tests.ui.qt_program", toolkit, scenario]
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert (run.returncode, run.stderr) == (0, "")
    return json.loads(run.stdout)


@BINDINGS
def test_all_items_come_in_order_on_the_window_s_thread_and_nothing_is_left(toolkit: str):
    seen = play(toolkit, "shown")
    assert seen.pop("bound", ["still bound"]) == ["still bound"]
    assert seen == {"in_order": True, "ends": ["completed"], "here": True, "left": 0}


@BINDINGS
def test_nothing_is_lost_when_the_event_loop_begins_late(toolkit: str):
    scenario = "late" if toolkit == "tkinter" else "late and without an owner"
    assert play(toolkit, scenario) == {"in_order": True, "ends": ["completed"], "here": True}


@BINDINGS
def test_a_window_that_is_busy_pauses_the_model(toolkit: str):
    assert play(toolkit, "full")["ahead"] == 8


@BINDINGS
def test_a_flood_leaves_the_window_its_turns(toolkit: str):
    seen = play(toolkit, "flood")
    assert seen["in_order"]
    assert seen["longest_turn"] < 0.25  # 8 ms of delivery; the rest is room for a busy machine


@BINDINGS
def test_destroying_the_window_ends_the_model_and_calls_nothing_more(toolkit: str):
    gone = {"closed": True, "called_since": 0, "ends": [], "open": []}
    assert play(toolkit, "destroyed") == gone
    if toolkit == "tkinter":
        assert play(toolkit, "root destroyed") == gone


@BINDINGS
def test_no_timer_outlives_the_window(toolkit: str):
    assert play(toolkit, "destroyed before a timer behind it") == {"closed": True, "ends": [], "open": []}


@BINDINGS
def test_a_cleanup_that_raises_is_reported_and_the_window_s_other_streams_end_too(toolkit: str):
    seen = play(toolkit, "destroyed with a bad cleanup")
    assert len(seen["told"]) == 1
    assert "ZeroDivisionError" in seen["told"][0]
    assert (seen["closed"], seen["open"]) == ([True] * 3, [])


@BINDINGS
def test_a_window_that_is_gone_already_is_told_nothing(toolkit: str):
    assert play(toolkit, "destroyed before the subscription") == {"items": [], "ends": [], "open": []}


@BINDINGS
def test_whoever_waits_for_a_window_that_is_destroyed_waits_no_longer(toolkit: str):
    assert "window that should get the items is gone" in play(toolkit, "destroyed while someone waits")["outcome"]


@BINDINGS
def test_after_a_dispose_on_the_window_s_thread_nothing_that_waited_is_delivered(toolkit: str):
    seen = play(toolkit, "disposed")
    assert (seen["closed"], seen["called_since"], seen["open"], seen.get("left", 0)) == (True, 0, [], 0)


@BINDINGS
def test_a_bad_callback_is_reported_and_the_window_lives_on(toolkit: str):
    seen = play(toolkit, "a bad callback")
    assert len(seen["told"]) == 1
    assert "stream model: on_next raised ZeroDivisionError" in seen["told"][0]
    assert (seen["next"], seen["open"]) == ([1, 2, 3, 4, 5], [])


@QT
def test_qt_may_be_subscribed_to_from_any_thread(toolkit: str):
    seen = play(toolkit, "subscribed to again from another thread")
    assert seen["items"] == [1, 2, 1, 2]
    assert (seen["here"], len(seen["ends"])) == (True, 1)


@QT
def test_qt_without_an_owner_delivers_on_the_application_s_thread_whoever_asks(toolkit: str):
    assert play(toolkit, "without an owner from another thread") == {"items": [1, 2, 3, 4, 5], "here": True}


@QT
def test_qt_without_an_application_is_refused(toolkit: str):
    assert "QApplication" in play(toolkit, "without an application")["error"]


def test_tk_refuses_what_can_not_work():
    errors = play("tkinter", "wrong arguments")["errors"]
    assert "on Tk's thread" in errors[0]
    assert [error.partition(":")[0] for error in errors[1:]] == ["TypeError", "ValueError", "TypeError", "RuntimeError"]


def test_importing_the_operators_imports_no_toolkit():
    code = "import sys; from rxfal import ui; print({'tkinter', 'PySide6', 'PyQt6'} & {*sys.modules})"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"
