# Two commands for everybody: `make up` and `make test`. Each sets up what it needs.
# `make up ARGS=--demo` runs on the sandbox whatever is configured.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: up test check bench chaos lock pictures clean

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: set PYTHON=… to one."; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { echo "Python has no venv module here: install it (Debian: python3-venv)."; exit 2; }
	@echo "Installing the pinned packages …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable . 2>/dev/null || $(BIN)/python -m pip install --no-deps --no-build-isolation --editable .
	@touch $@

up: $(STAMP)
	@exec $(BIN)/nexaops up $(ARGS)

test: $(STAMP)
	@$(BIN)/pytest -n 3 --dist loadgroup $(ARGS)

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(STAMP)
	@$(BIN)/nexaops bench reconcile $(ARGS)

chaos: $(STAMP)
	@CHAOS_SECONDS=$${CHAOS_SECONDS:-600} CHAOS_SEED=$${CHAOS_SEED:-$$(date +%s)} $(BIN)/pytest -s tests/db/test_chaos.py $(ARGS)

pictures: $(STAMP)
	$(BIN)/python -m tests.e2e.pictures $(ARGS)

lock:
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-annotate --no-header --python-version 3.11 --extra dev pyproject.toml -o requirements.lock

clean:
	rm -rf .venv build *.egg-info .mypy_cache .ruff_cache
