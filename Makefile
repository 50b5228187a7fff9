# Everything runs from .venv, which the targets make by themselves. `make` alone lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: bench help setup run test lint check fmt protos protos-check protos-public model lock

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install -qq --no-compile --disable-pip-version-check --constraint constraints.txt
RUN_EXTRAS := codec,llm,transformers,gateway,cli

# ARGS go to the command behind a target: make run ARGS="--http-port 9000", make test ARGS="-k voices -x".
ARGS ?=
# MODEL is a folder or a Hugging Face id: make run MODEL=SparkAudio/Spark-TTS-0.5B.
MODEL ?=

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.dev ## Install everything for development into .venv

run: $(VENV)/.run ## Start the four processes on this machine and say where they listen
	@exec $(BIN)/voxline serve $(if $(MODEL),--model '$(MODEL)') $(ARGS)

test: $(VENV)/.dev ## Run the tests; no GPU, no download
	@$(BIN)/python -m pytest -q -m 'not gpu and not vllm and not smoke and not clients' $(ARGS)

.PHONY: test-clients
test-clients: $(VENV)/.dev ## Speak with clients of other makers; fetches them from npm and PyPI, once
	@$(BIN)/python -m pytest -q -m clients $(ARGS)

# Not ours to mend: what vllm and its torch warn of.
VLLM_WARNINGS := -W ignore::DeprecationWarning -W ignore::FutureWarning -W ignore::ResourceWarning

.PHONY: test-vllm
test-vllm: .venv-vllm/.ready ## Run the tests of the vllm engine, on its CPU build in .venv-vllm
	@.venv-vllm/bin/python -m pytest -q -k vllm $(VLLM_WARNINGS) \
		tests/llm/test_engine_contract.py tests/llm/test_vllm_*.py $(ARGS)

lint: $(VENV)/.dev protos-check ## Check style, types and protos
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --quiet --diff
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/buf lint protos
	@$(BIN)/buf build protos --path protos/voxline/v1 -o - \
		| $(BIN)/buf breaking -\#format=binpb --against protos/public.binpb --exclude-imports
	@$(BIN)/buf format --diff --exit-code protos

bench: $(VENV)/.dev ## Measure the whole system under load; ARGS="--help" says what else
	@$(BIN)/python -m bench $(ARGS)

.PHONY: bench-speech
bench-speech: $(VENV)/.dev ## Measure what is understood of the whole system
	@$(BIN)/python -m bench.speech $(if $(MODEL),--model '$(MODEL)') $(ARGS)

.PHONY: voice voice-smoke
voice: $(VENV)/.dev ## Train the bundled voice anew, into var/voice/out/voice (hours on two cores)
	@$(BIN)/python -m training --data var/voice/data --out var/voice/out --workers 2 --minutes 240 $(ARGS)

voice-smoke: $(VENV)/.dev ## Run each step of the training, tiny
	@$(BIN)/python -m pytest -q -m smoke tests/training $(ARGS)

check: lint test ## lint, then test

fmt: $(VENV)/.dev ## Format Python and protos
	@$(BIN)/ruff check --quiet --fix
	@$(BIN)/ruff format --quiet
	@$(BIN)/buf format --write protos

protos: $(VENV)/.dev ## Generate the stubs and the descriptor set from protos/
	@PATH="$(CURDIR)/$(BIN):$$PATH" bash protos/generate.sh protos/gen

protos-public: $(VENV)/.dev ## Take the public API as it is now for what later changes must not break
	@$(BIN)/buf build protos --path protos/voxline/v1 -o protos/public.binpb

protos-check: $(VENV)/.dev ## Fail when protos/gen is not what protos/ generates
	@PATH="$(CURDIR)/$(BIN):$$PATH" bash protos/check.sh

model: $(VENV)/.run ## Download the published Spark-TTS 0.5B (4 GB), or MODEL
	@$(BIN)/voxline fetch $(or $(MODEL),SparkAudio/Spark-TTS-0.5B) $(ARGS)

lock: $(VENV)/.dev ## Write constraints.txt from what .venv holds
	@bash setup/lock.sh $(BIN)/python

# Two stamps in one environment: running needs no test tools.
$(VENV)/.run: pyproject.toml constraints.txt setup/kernels.py setup/venv.sh setup/torch.sh
	@bash setup/venv.sh '$(PYTHON)' $(VENV)
	@echo 'Installing Voxline into $(VENV): about 1.2 GB, once ...'
	@bash setup/torch.sh $(BIN)/python
	@$(PIP) --editable '.[$(RUN_EXTRAS)]'
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	@echo 'Installing the test tools into $(VENV) ...'
	@$(PIP) --editable '.[$(RUN_EXTRAS),dev]'
	@touch $@

.venv-vllm/.ready: pyproject.toml setup/vllm.txt setup/venv.sh setup/torch.sh
	@bash setup/venv.sh '$(PYTHON)' .venv-vllm
	@echo 'Installing vllm for CPUs into .venv-vllm: about 1.5 GB, once ...'
	@bash setup/torch.sh .venv-vllm/bin/python
	@.venv-vllm/bin/python -m pip install -qq --no-deps --no-compile --disable-pip-version-check \
		--requirement setup/vllm.txt --editable .
	@touch $@
