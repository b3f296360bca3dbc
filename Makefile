# Everything works from Python 3.11+ and make alone: `make demo`, `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help install demo sync test test-unit test-pipeline test-faults test-browser ambiguous toxics soak crash histories schemathesis mutants check format bench docs lock clean

help: ## Show what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "%-14s %s\n", $$1, $$2}'

install: $(STAMP) ## Make .venv with the command autoflex-pipeline in it

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; set PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(STAMP)

demo: install ## Start the sandbox and Dagster wired to it; Ctrl-C ends all
	@$(BIN)/autoflex-pipeline demo

sync: install ## Run the main job once, headless, against the sandbox, and print the summary
	@$(BIN)/autoflex-pipeline demo --once

test: install ## All tests
	@$(BIN)/python -m autoflex_pipeline_tests

test-unit test-pipeline test-faults test-browser: install ## One kind of tests
	@$(BIN)/python -m autoflex_pipeline_tests $(@:test-%=%)

ambiguous: install ## Every ambiguous answer many times in a thousand documents
	AMBIGUOUS=full $(BIN)/pytest -q autoflex_pipeline_tests/faults/test_ambiguous.py

toxics: install ## Every toxic on every way to both vendors, about ten minutes
	TOXICS=full $(BIN)/pytest -q autoflex_pipeline_tests/faults/test_toxics.py

soak: install ## Random toxics and lively dealers for MINUTES=30; SEED= repeats one
	@$(BIN)/python -m autoflex_pipeline_tests.soak --minutes $(or $(MINUTES),30) $(if $(SEED),--seed $(SEED))

crash: install ## A run killed, and its disk full or broken, at every durable step (OF=names: each named step once in each way that it has; OF=scenarios: each scenario once, in each way)
	CRASH=$(or $(OF),all) $(BIN)/pytest -q -s autoflex_pipeline_tests/faults/test_crashes.py autoflex_pipeline_tests/faults/test_system_calls.py

histories: install ## Random histories of two dealers, N=10000 of them; HISTORIES_SEED= repeats them, HISTORIES_SHRINK=1 shortens a failure
	@$(BIN)/python -m autoflex_pipeline_tests.faults.histories $(or $(N),10000)

schemathesis: install ## N=1000 requests to each operation of both stand-ins' OpenAPI
	EXAMPLES_PER_OPERATION=$(or $(N),1000) $(BIN)/pytest -q autoflex_pipeline_tests/faults/test_security_openapi.py

mutants: install ## Small changes of difference, outbox, ledger, retry and absence that their tests must notice; OF=, SAMPLE=, SEED=
	@$(BIN)/python -m autoflex_pipeline_tests.mutants $(OF) --sample $(or $(SAMPLE),0) --seed $(or $(SEED),1)

check: install ## Format, lint, types, import rules, dependency audit where it can be reached
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -W error -c 'import dagster; from autoflex_pipeline.definitions import defs; dagster.Definitions.validate_loadable(defs)'
	@$(BIN)/python -m autoflex_pipeline_tests.audit

format: install ## Format and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: install ## Benchmarks, each a ratio in one run
	$(BIN)/python -m benchmarks

docs: install ## Build the documentation into site/, with the screenshots of the last make test-browser
	@$(BIN)/python -m autoflex_pipeline_tests.browser.screenshots
	@$(BIN)/sphinx-build --fail-on-warning --keep-going --nitpicky --quiet --builder html docs site
	@echo "Open site/index.html"

lock: install ## Make requirements.lock anew from pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --all-extras --generate-hashes --no-header \
		--no-emit-index-url --no-annotate --no-strip-extras --output-file requirements.lock pyproject.toml

clean: ## Remove the environment and the demo's data
	rm -rf $(VENV) demo-data artifacts site docs/screenshots
