# make run: install everything below the clone and let the demo model answer.   make test: the whole suite.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
OLDEST := .venv-oldest
HUB    := huggingface_hub==1.22.*

.PHONY: run test oldest check lint types imports docs bench clean

run: $(STAMP)
	@HF_HUB_CACHE="$(CURDIR)/.run-cache/hub" $(BIN)/mlxk2 pull demo
	@echo '$$ mlxk2 run demo "How do I list my models?"'
	@HF_HUB_CACHE="$(CURDIR)/.run-cache/hub" $(BIN)/mlxk2 run demo "How do I list my models?"

test: $(STAMP)
	@$(BIN)/coverage erase
	@$(BIN)/python tools/run_tests.py; tests=$$?; \
		$(BIN)/coverage combine -q && $(BIN)/coverage report; floor=$$?; exit $$((tests > floor ? tests : floor))

# The oldest huggingface_hub that is supported speaks another HTTP library: what talks to the Hub must run on both.
oldest: $(OLDEST)/.installed
	@$(OLDEST)/bin/python -m pytest -q tests/contracts/test_hub.py tests/adapters/test_hub.py \
		tests/adapters/test_hub_faults.py tests/adapters/test_loopback_hub.py tests/e2e/test_pull.py tests/e2e/test_push.py

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
	rm -rf $(VENV) $(OLDEST) .run-cache build dist man src/*.egg-info .coverage* .hypothesis .mypy_cache .ruff_cache \
		.import_linter_cache

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "mlxk2 needs Python 3.11 or newer: make PYTHON=python3.11")'
	@echo "Installing into $(VENV) (about 500 MB of packages, most of them MLX and transformers) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade pip
	@$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $(STAMP)

$(OLDEST)/.installed: pyproject.toml
	@echo "Installing $(HUB) into $(OLDEST), without MLX ..."
	@$(PYTHON) -m venv $(OLDEST)
	@$(OLDEST)/bin/python -m pip install --quiet '$(HUB)' dependency-injector pathspec rich \
		starlette uvicorn pytest hypothesis jsonschema
	@$(OLDEST)/bin/python -m pip install --quiet --no-deps --editable .
	@touch $@
