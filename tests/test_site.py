"""The built documentation in a browser: every page fits a phone and a desk, and has its pictures."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.gallery.toolkits import python_of
from tests.needs import need_modules, need_programs
from tests.pages import ROOT


def test_every_page_fits_the_screen_and_has_its_pictures(tmp_path: Path) -> None:
    need_modules("mkdocs")
    need_programs("chromium", python_of("browser"))
    site = tmp_path / "site"
    subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(site)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        check=True,
    )
    looked = subprocess.run(
        [python_of("browser"), str(ROOT / "tests" / "site_in_chromium.py"), str(site)],
        stdout=subprocess.PIPE,
        check=True,
    )
    assert json.loads(looked.stdout) == {}
