PYTHON ?= python3
JOBS ?= 2
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt --editable
FAILED := { echo "== the installation failed; mend what pip names above, then run make again =="; exit 1; }
# Each mark is younger than what it was installed from.
DEMO := .venv/.demo-ready
TESTS := .venv/.tests-ready

.PHONY: demo test lint format

demo: $(DEMO)  ## instruct the pocket model and open the contact sheet
	@echo "== firefighters, plain and instructed: 32 seeds =="
	rm -rf out/demo
	$(BIN)/fair-diffusion generate "a photo of a firefighter" -n 32 --seed 0 --compare-plain \
		--instruct "firefighter: 50% woman, 50% man" --out out/demo
	@echo "== look at out/demo/contact-sheet.png =="

test: $(TESTS)  ## run the tests, in JOBS processes of one thread each
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist worksteal

lint: $(TESTS)  ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(TESTS)  ## mend style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(DEMO): pyproject.toml constraints.txt
	@echo "== installing the package into .venv (1.8 GB, a few minutes the first time) =="
	@$(PYTHON) -m venv .venv
	@$(PIP) . || $(FAILED)
	@touch $@

$(TESTS): $(DEMO)
	@echo "== installing what the tests and recipes need into .venv =="
	@$(PIP) ".[dev,recipes,service,postgres,c2pa]" || $(FAILED)
	@touch $@
