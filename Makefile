# `make demo` and `make test` need Python 3.11 or newer with pip; all else follows.
PYTHON ?= python3
BIN := .venv/bin
DEMO := runs/demo
TORCH ?= torch==2.13.0
QUICK := $(addprefix tests/,data inversion/test_arguments.py inversion/test_settings.py \
  inversion/test_stages.py operators/test_noise.py test_files.py \
  test_losses.py test_metrics.py test_parsing.py test_provenance.py \
  training/test_checks.py)

.PHONY: demo test test-torch quick lint docs dist clean

demo: .venv/installed
	$(BIN)/python invert.py --config configs/invert/demo.py --workdir $(DEMO)/recovered
	$(BIN)/python train.py --config configs/quickstart.py:rtil,short \
	  --workdir $(DEMO)/training
	@echo "report    $(DEMO)/recovered/report.html"
	@echo "samples   $(DEMO)/training/samples, of a prior in its first minute"
	@echo "next      . $(BIN)/activate, then rtil --help, or docs/start.md"

test: .venv/installed lint
	$(BIN)/python -m pytest -n 2 --dist loadfile

# For the inner loop, in less than a minute: what computes little.
quick: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/python -m pytest -n 2 $(QUICK)

# Against PyTorch: public networks, checkpoints, benchmarks. PyPI's PyTorch for Linux is
# built for CUDA; `pip config set global.extra-index-url` names an index of smaller ones.
test-torch: .venv/torch
	$(BIN)/python -m pytest -n 2 --dist loadfile tests/with_torch

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The site, in site/; a link that leads nowhere fails.
docs: .venv/docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

.venv/docs: .venv/installed
	$(BIN)/python -m pip install --quiet --editable ".[docs]"
	touch $@

# A wheel and an sdist, checked; and the wheel in an environment of its own, far from here.
dist: .venv/dist
	rm -rf build dist *.egg-info
	$(BIN)/python -m build
	$(BIN)/twine check --strict dist/*
	$(BIN)/check-wheel-contents --toplevel rtil_jax dist/*.whl
	$(PYTHON) tests/installed_demo.py dist/*.whl

.venv/dist: .venv/installed
	$(BIN)/python -m pip install --quiet --editable ".[dist]"
	touch $@

.venv/torch: .venv/installed
	$(BIN)/python -m pip install --quiet $(TORCH) --editable ".[safetensors]"
	touch $@

clean:
	rm -rf .venv build dist runs site *.egg-info

.venv/installed: setup.cfg pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable ".[test]"
	touch $@
