SHELL := bash
.SHELLFLAGS := -o pipefail -c

# One .venv, made when it is missing and re-used afterwards. PYTHON chooses the
# interpreter it is made from.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# What pip is at, in one line of a terminal; all that it says is in .venv/setup.log.
PROGRESS := awk '/^Collecting/ { n++; now = n " packages, " $$2 } \
	/^Installing/ { now = "installing " n " packages" } \
	"$(MAKE_TERMOUT)" && now != last { printf "\r\033[K%s", last = now; fflush() } \
	END { if (last) print "" }'
# Of tests: as many at once as there are CPUs, those of a file in one process, which
# shares a server; then, alone, those that need the machine for themselves (to import
# the others' files as well would start TensorFlow and Keras for nothing).
PYTEST := $(BIN)/python -m pytest
SERIAL := tests/client tests/server
LONG := slow or browser or readme or nightly or matrix
PARALLEL := -n $(or $(JOBS),auto) --dist loadfile --no-loadscope-reorder

.PHONY: help setup demo check test test-nightly test-all test-grpcio test-container fidelity bench-train bench-serve bench-faults docs coverage duplicates lint format clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(READY) ## Make .venv with everything needed to train, serve, test

$(READY): pyproject.toml constraints.txt
	@echo "Installing into $(VENV), which takes a few minutes ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@export PYTHONWARNINGS=ignore PIP_DISABLE_PIP_VERSION_CHECK=1; \
		($(BIN)/python -m pip install --upgrade pip && \
		$(BIN)/python -m pip install --constraint constraints.txt \
			--editable '.[all]' --group dev) 2>&1 | tee $(VENV)/setup.log | $(PROGRESS) \
		|| { tail -n 20 $(VENV)/setup.log; exit 1; }
	@touch $@

demo: $(READY) ## Train, export, serve and query LeNet-5 on MNIST
	$(BIN)/fovea demo

check: lint ## Lint, and run the tests that take no time, in a minute and a half
	$(PYTEST) $(PARALLEL) -m "not ($(LONG))"

test: $(READY) ## Run the tests, in minutes
	$(PYTEST) $(PARALLEL) --durations 25 -m "not (nightly or matrix or serial)"
	$(PYTEST) --durations 5 -m "serial and not (nightly or matrix)" $(SERIAL)

test-nightly: $(READY) ## Run what `make test` leaves out because others prove most of it
	$(PYTEST) -m "nightly and not matrix"

test-all: $(READY) ## Run the tests and the whole matrix of models, in hours
	$(PYTEST) $(PARALLEL) -m "not serial"
	$(PYTEST) -m serial $(SERIAL)

# "grpcio>=LOWEST,<2", as pyproject.toml has it, and the lowest version of that.
GRPCIO := $(shell sed -nE 's/^ *"(grpcio>=[^"]*)",/\1/p' pyproject.toml)
LOWEST_GRPCIO := $(shell echo '$(GRPCIO)' | sed -E 's/>=([^,]*),.*/==\1/')

test-grpcio: ## Run the contract with grpcio on its lowest and its highest version
	@directory=$$(mktemp -d) && trap 'rm -rf "$$directory"' EXIT && \
	for version in '$(LOWEST_GRPCIO)' '$(GRPCIO)'; do \
		$(PYTHON) -m venv --clear $$directory && \
		$$directory/bin/pip install --quiet "$$version" pytest pytest-timeout && \
		$$directory/bin/pip list 2>/dev/null | grep '^grpcio ' && \
		$$directory/bin/python -m pytest --noconftest tests/server/rpc/test_threads.py \
			|| exit 1; \
	done

test-container: $(READY) ## Build and run every image, as root, with debootstrap and buildah
	$(BIN)/python -m pytest --override-ini python_files='check_*.py' --timeout 1200 \
		tests/container

fidelity: $(READY) ## Compare the server at TARGET (and REST) with TensorFlow Serving
	$(BIN)/python -m tests.server.fidelity --grpc $(TARGET) $(if $(REST),--rest $(REST)) \
		$(if $(SCENARIO),--scenario $(SCENARIO)) $(if $(MODELS),--models $(MODELS))

bench-train: $(READY) ## Compare the speed of training with PyTorch's, in minutes
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[bench]'
	$(BIN)/python benchmarks/train.py

bench-faults: $(READY) ## Swaps, signals and overload on a running server, in minutes
	$(BIN)/python benchmarks/faults.py

bench-serve: $(READY) ## Measure the server beside its floor and its ceiling, in minutes
	$(BIN)/python benchmarks/serve.py $(if $(TARGET),--target $(TARGET))

docs: $(READY) ## Build the documentation site into build/site
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

# Per cent of lines and branches that the tests have to cover: measured, less two.
FLOOR ?= 86

coverage: $(READY) ## Run the tests, and fail if they cover less than FLOOR per cent
	$(PYTEST) $(PARALLEL) --cov --cov-report=term:skip-covered \
		--cov-report=xml:build/coverage.xml --cov-fail-under=$(FLOOR)

duplicates: $(READY) ## Look for code that stands twice
	$(BIN)/python tests/duplicates.py

lint: $(READY) ## Check style, types and the Dockerfile
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/hadolint Dockerfile

format: $(READY) ## Format the source
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## Remove .venv and what tools leave behind
	rm -rf $(VENV) build dist *.egg-info .coverage* .pytest_cache .ruff_cache .mypy_cache
