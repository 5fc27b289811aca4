PYTHON ?= python3
JOBS ?= 2
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt --editable
FAILED := { echo "== the installation failed; mend what pip names above, or delete .venv, then run make again =="; exit 1; }
# Each mark is younger than what it was installed from.
VENV := .venv/.made
DEMO := .venv/.demo-ready
TESTS := .venv/.tests-ready
TESTS_NEED := dev,docs,recipes,service,postgres,c2pa,faces
MORE := docs examples package scale

.PHONY: demo docs test test-chromium test-package test-ray chromium lint format

demo: $(DEMO)  ## instruct the pocket model and open the contact sheet
	@echo "== firefighters, plain and instructed: 32 seeds =="
	rm -rf out/demo
	$(BIN)/fair-diffusion generate "a photo of a firefighter" -n 32 --seed 0 --compare-plain \
		--instruct "firefighter: 50% woman, 50% man" --out out/demo
	@echo "== look at out/demo/contact-sheet.png =="

docs: .venv/.docs-ready  ## build the site into site/, and end if a link is broken
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build
	@echo "== open site/index.html; for its search: python3 -m http.server --directory site =="

test: $(TESTS)  ## run the tests, in JOBS processes of one thread each
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist worksteal

test-chromium: $(TESTS) .venv/.examples-ready chromium  ## run the tests of the pages, in Debian's chromium
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m chromium --also chromium

test-package: $(TESTS) .venv/.package-ready  ## build the package, install it into an empty environment and run it there
	$(BIN)/python -m pytest -m package --also package

test-ray: $(TESTS) .venv/.scale-ready  ## run the tests that start a local Ray
	$(BIN)/python -m pytest -m ray --also ray

lint: $(TESTS)  ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(TESTS)  ## mend style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

chromium:
	@command -v chromium > /dev/null || { apt-get update --quiet=2 && apt-get install --quiet=2 --yes chromium; } \
		|| { echo "== these tests need Chromium: install your system's package chromium =="; exit 1; }

$(VENV):
	@$(PYTHON) -c "import sys, venv; sys.exit(sys.version_info < (3, 11))" 2> /dev/null || { echo \
		"== $(PYTHON) is no Python of 3.11 or newer with venv; name one, as in: make demo PYTHON=python3.12 =="; exit 1; }
	@$(PYTHON) -m venv .venv
	@touch $@

$(DEMO): pyproject.toml constraints.txt | $(VENV)
	@echo "== installing the package into .venv (1.8 GB, a few minutes the first time) =="
	@$(PIP) . || $(FAILED)
	@touch $@

$(TESTS): $(DEMO)
	@echo "== installing what the tests and recipes need into .venv =="
	@$(PIP) ".[$(TESTS_NEED)]" || $(FAILED)
	@touch $@

.venv/.%-ready: $(DEMO) | $(TESTS)  # one pip at a time
	@$(PIP) ".[$*]" || $(FAILED)
	@touch $@

# All of the above at once: pip looks for what fits once.
.venv/.all-ready: pyproject.toml constraints.txt | $(VENV)
	@echo "== installing what all tests need into .venv =="
	@$(PIP) ".[$(TESTS_NEED)$(MORE:%= ,%)]" || $(FAILED)
	@touch $(DEMO) $(TESTS) $(MORE:%=.venv/.%-ready) $@
