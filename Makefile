# `make help` lists what there is. PYTHON=/path/to/python3.11 names the Python that .venv is made from.
SEED ?= 1
EMBODIED_MEM_DATA ?= $(abspath ../shared/data)
BIN := .venv/bin

# Message fields are checked in tests, and no robot on the network takes part in them.
TEST_ENV := ROS_PYTHON_CHECK_FIELDS=1 ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST \
	AMENT_PREFIX_PATH=$(CURDIR)/.venv EMBODIED_MEM_DATA=$(EMBODIED_MEM_DATA)

.PHONY: help setup demo test lint bench-peers clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 22

setup: ## make or refresh .venv (the other targets do this first)
	@tools/setup.sh

demo: setup ## drive a simulated robot through a house, then ask its memory 20 questions: make demo [SEED=n]
	@$(BIN)/embodied-mem demo --seed $(SEED)

lint: setup ## ruff and mypy
	@$(BIN)/ruff check .
	@$(BIN)/mypy

# In two processes: more nodes at once would wait for each other on a small machine.
test: lint ## ruff, mypy and all tests
	@$(TEST_ENV) $(BIN)/python -m pytest -q -n 2 --dist loadfile

bench-peers: setup ## install the programs that bench/ compares with
	@$(BIN)/python -m pip install -q -c constraints.txt --no-build-isolation -e ".[bench]"

clean: ## remove .venv and all that was built
	rm -rf .venv .venv.log .venv.lock build install log dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
