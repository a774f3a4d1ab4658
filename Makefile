# `make demo` and `make test` need Python 3.11 or newer with pip; all else follows.
PYTHON ?= python3
BIN := .venv/bin
DEMO := runs/demo

.PHONY: demo test lint clean

demo: .venv/installed
	$(BIN)/python invert.py --config configs/invert/demo.py --workdir $(DEMO)/recovered
	@sed -n '/^## /,$$p' $(DEMO)/recovered/summary.md
	$(BIN)/python train.py --config configs/quickstart.py:rtil,short \
	  --workdir $(DEMO)/training
	@echo "report    $(DEMO)/recovered/report.html"
	@echo "samples   $(DEMO)/training/samples, of a prior in its first minute"

test: .venv/installed lint
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf .venv runs

.venv/installed: setup.cfg pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable ".[test]"
	touch $@
