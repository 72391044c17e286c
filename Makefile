# One .venv, made when it is missing and re-used afterwards. PYTHON chooses the
# interpreter it is made from.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help setup demo test test-all test-grpcio test-container fidelity bench-train bench-serve bench-faults lint format clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(READY) ## Make .venv with everything needed to train, serve, test

$(READY): pyproject.toml constraints.txt
	@echo "Installing into $(VENV), which takes a few minutes ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade pip
	@PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet \
		--constraint constraints.txt --editable '.[all,dev]'
	@touch $@

demo: $(READY) ## Train, export, serve and query LeNet-5 on MNIST
	$(BIN)/fovea demo

test: $(READY) ## Run the tests
	$(BIN)/python -m pytest

test-all: $(READY) ## Run the tests and the whole matrix of models, in hours
	$(BIN)/python -m pytest -m ""

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

lint: $(READY) ## Check style, types and the Dockerfile
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/hadolint Dockerfile

format: $(READY) ## Format the source
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## Remove .venv and what tools leave behind
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache
