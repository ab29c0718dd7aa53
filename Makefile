# Two commands for a newcomer: make demo, make test. Everything they need is set up by themselves.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Workers: two thirds of a test's time is waiting for others, so that three keep two cores busy.
PARALLEL ?= 3

VERSION = $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' agent/__init__.py)
BUILDER ?= docker
IMAGE ?= imds-agent:$(VERSION)

.PHONY: help demo test check bench stress bundle release image setup lock clean
help:
	@echo "make demo   the agent at work on a real control plane, in this terminal (KEEP=1 leaves it running)"
	@echo "make test   all tests, against the same real parts"
	@echo "make check  format, lint (Dockerfile too), types, import contracts      make bench   measurements (QUICK=1: minutes)"
	@echo "make bundle dist/imds-agent.pyz: first boot in one archive for a VM's own Python"
	@echo "make release all files of a release into dist/release, from the commit; make image: BUILDER=buildah IMAGE=NAME BASE=PINNED"
	@echo "make stress long runs of the tests that look for rare faults"

setup:
	@VENV=$(VENV) $(PYTHON) tests/bootstrap.py

demo: setup
	@$(BIN)/python -m tests.demo $(if $(KEEP),--keep)

test: setup
	@$(BIN)/python -m tests.controlplane.build && $(BIN)/python -m tests.monitoring.programs && $(BIN)/python -m tests.manifests.scored
	@$(BIN)/python -m pytest -q -n $(PARALLEL) --dist loadfile --cov --cov-report= && $(BIN)/python -m coverage report --include='agent/core/*' --fail-under=100

check: setup
	@$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy && $(BIN)/lint-imports
	@$(BIN)/hadolint --failure-threshold style $$(git ls-files --cached --others --exclude-standard '*Dockerfile*' '*Containerfile*')

bench: setup
	@$(BIN)/python -m tests.bench $(if $(QUICK),--quick)

bundle: setup
	@$(BIN)/python packaging/bundle.py

release: setup
	@$(BIN)/python packaging/release.py

image:
	@$(BUILDER) build $(if $(BASE),--build-arg BASE=$(BASE)) --build-arg VERSION=$(VERSION) --build-arg REVISION=$$(git rev-parse HEAD) \
		--build-arg CREATED=$$(git log -1 --format=%cI) -t $(IMAGE) .

stress: setup
	@IMDS_AGENT_KILLS=200 $(BIN)/python -m pytest -q tests/promises/test_kill_nine.py
	@IMDS_AGENT_STORIES=200 IMDS_AGENT_MOVING_STORIES=60 $(BIN)/python -m pytest -q tests/story

# Needs uv; the two files are what everybody installs from.
lock:
	@uv pip compile -q --universal --python-version 3.10 --generate-hashes --no-header --no-emit-index-url pyproject.toml -o requirements.lock
	@uv pip compile -q --universal --python-version 3.10 --generate-hashes --no-header --no-emit-index-url pyproject.toml --group dev -c requirements.lock -o requirements-dev.lock

clean:
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage* build dist
