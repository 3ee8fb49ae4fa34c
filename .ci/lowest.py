"""Prints the lower bounds of the dependencies in pyproject.toml, as constraints for pip."""

import re
import tomllib
from pathlib import Path

project = tomllib.loads(Path(__file__).parent.with_name("pyproject.toml").read_text())["project"]
extras = project["optional-dependencies"]
for requirement in (*project["dependencies"], *extras["cli"], *extras["testing"], *extras["test"]):
    if bound := re.fullmatch(r"([\w-]+)(?:\[.*\])?>=([\w.]+).*", requirement):
        print(f"{bound[1]}=={bound[2]}")
