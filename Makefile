# Two commands for a fresh machine: `make demo` and `make test`. Both create .venv and install what they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export OMP_NUM_THREADS ?= 1

.PHONY: demo test lint clean

$(VENV)/installed: constraints.txt ml-agents-envs/pyproject.toml ml-agents/pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt torch
	$(BIN)/python -m pip install --quiet -c constraints.txt -e "./ml-agents-envs[examples,check]" -e ./ml-agents
	@touch $@

$(VENV)/tested: $(VENV)/installed requirements-dev.txt ml-agents-trainer-plugin/pyproject.toml
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ./ml-agents-trainer-plugin -r requirements-dev.txt
	@touch $@

# A second `make demo` takes up where the first one stood; one that was killed before its first checkpoint begins anew.
demo: $(VENV)/installed
	$(BIN)/mlagents-learn config/ppo/3DBall.yaml --env builtin:3DBall --run-id 3dball \
		$(if $(wildcard results/3dball/3DBall/checkpoint.pt),--resume,--force)

test: $(VENV)/tested
	$(BIN)/python -m pytest -n 2

lint: $(VENV)/tested
	$(BIN)/ruff check .
	$(BIN)/mypy ml-agents-envs/mlagents_envs ml-agents/mlagents ml-agents-trainer-plugin/mlagents_trainer_plugin benchmarks

clean:
	rm -rf $(VENV) build
