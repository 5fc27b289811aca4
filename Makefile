PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: demo test lint format

# Exit code 3 says that a target was missed, as the table shows.
demo: $(READY)  ## instruct the pocket model and open the contact sheet
	@echo "== firefighters, plain and instructed: 32 seeds =="
	rm -rf out/demo
	$(BIN)/fair-diffusion generate "a photo of a firefighter" -n 32 --seed 0 --compare-plain \
		--instruct "firefighter: 50% woman, 50% man" --out out/demo || test $$? -eq 3
	@echo "== look at out/demo/contact-sheet.png =="

test: $(READY)  ## run the tests
	$(BIN)/python -m pytest

lint: $(READY)  ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)  ## mend style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(READY): pyproject.toml constraints.txt
	@echo "== installing into .venv (a few minutes the first time) =="
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev,recipes]"
	@touch $(READY)
