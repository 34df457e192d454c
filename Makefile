# `make demo` and `make test` each work as the first command typed in a fresh clone: python3, make and the package registries are enough.
SHELL := /bin/bash
.DEFAULT_GOAL := help
UV := $(shell command -v uv 2>/dev/null || echo .venv/bootstrap/bin/uv)
RUN := .venv/bin/
DEMO_HOME ?= demo-home
PORT ?= 8321
# what a fresh clone compiles once is kept: without, each of the hundreds of processes that the tests start compiles every module again
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo serve-demo test check check-long fuzz killed-litellm focus-validate compare-otlp bench docs setup lint types contracts wheel clean

help: ## list what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-15s %s\n", $$1, $$2}'

setup: .venv/.synced ## make the environment (installs uv and system libraries where missing)

.venv/.synced: pyproject.toml uv.lock tools/bootstrap.sh
	@bash tools/bootstrap.sh "$(UV)"
	@touch $@

demo: setup ## run the whole loop on sample traffic and leave a packet and a statement in ./demo-home
	@rm -rf "$(DEMO_HOME)"
	@$(RUN)governor demo --home "$(DEMO_HOME)"

serve-demo: setup ## open the demo's pages (after make demo)
	@$(RUN)governor serve --home "$(DEMO_HOME)" --port $(PORT)

test: setup ## all tests (browser, Postgres and Redis tests start the real thing themselves)
	@$(RUN)pytest -n auto --dist loadfile -m "not bench" $(TESTS)

lint: setup ## style
	@$(RUN)ruff check . && $(RUN)ruff format --check .

types: setup ## static types
	@$(RUN)mypy

contracts: setup ## who may import whom
	@$(RUN)lint-imports

wheel: setup ## build the wheel and check its top-level names
	@$(RUN)python tools/check_wheel.py

check: test lint types contracts wheel docs ## exactly what CI runs
	@git diff --exit-code -- docs || (echo "docs are generated and differ: commit what make docs wrote" && exit 1)

check-long: setup ## every flipped byte and 500 truncations of three packets, by three verifiers (minutes)
	@GOVERNOR_LONG=1 $(RUN)pytest -n auto tests/packets/test_flips.py

fuzz: setup ## generated requests against every API operation, many of each (minutes)
	@GOVERNOR_FUZZ_EXAMPLES=60 $(RUN)pytest -n auto tests/api/test_openapi_fuzz.py

killed-litellm: setup ## the receivers under LiteLLM's own logger, while the server is killed again and again (an environment of its own)
	@$(UV) venv -q --allow-existing --python 3.11 .venv/litellm && $(UV) pip install -q --python .venv/litellm/bin/python litellm
	@GOVERNOR_TEST_LITELLM=$(CURDIR)/.venv/litellm/bin/python GOVERNOR_TEST_KILLS=10 $(RUN)pytest tests/api/test_push_killed.py

focus-validate: setup ## the public FOCUS validator on FILES or the sample month (its own Python 3.12 environment)
	@$(RUN)python tools/focus_validate.py $(FILES)

compare-otlp: setup ## OTLP spans/s beside Arize Phoenix and MLflow on this machine (environments of their own under .venv/compare; minutes)
	@$(RUN)python tools/compare_otlp.py --uv "$(UV)" $(ARGS)

bench: setup ## benchmarks; each prints a ratio against a named baseline of the same run
	@$(RUN)pytest -m bench -s tests/bench

docs: setup ## regenerate the generated pages of docs/
	@$(RUN)python tools/make_docs.py
	@$(RUN)python tools/seal_verifiers.py

clean: ## remove what was made
	@rm -rf .venv "$(DEMO_HOME)" dist build .mypy_cache .ruff_cache .pytest_cache
