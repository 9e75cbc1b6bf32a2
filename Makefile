# make run: install everything below the clone and let the demo model answer.   make test: the whole suite.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.PHONY: run test check lint types imports docs bench clean

run: $(STAMP)
	@HF_HUB_CACHE="$(CURDIR)/.run-cache/hub" $(BIN)/mlxk2 pull demo
	@echo '$$ mlxk2 run demo "How do I list my models?"'
	@HF_HUB_CACHE="$(CURDIR)/.run-cache/hub" $(BIN)/mlxk2 run demo "How do I list my models?"

test: $(STAMP)
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest; tests=$$?; \
		$(BIN)/coverage combine -q && $(BIN)/coverage report; floor=$$?; exit $$((tests > floor ? tests : floor))

check: lint types imports docs
	@echo "All checks passed."

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(STAMP)
	$(BIN)/mypy

imports: $(STAMP)
	$(BIN)/lint-imports

docs: $(STAMP)
	$(BIN)/python tools/generate_docs.py --check

bench: $(STAMP)
	$(BIN)/python -m bench

clean:
	rm -rf $(VENV) .run-cache build dist man src/*.egg-info .coverage* .hypothesis .mypy_cache .ruff_cache \
		.import_linter_cache

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "mlxk2 needs Python 3.11 or newer: make PYTHON=python3.11")'
	@echo "Installing into $(VENV) (about 500 MB of packages, most of them MLX and transformers) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade pip
	@$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $(STAMP)
