PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo demo-levels test lint bench tamper faults soak clean

$(STAMP): pyproject.toml
	@test -x $(RUN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV) (once) …"
	@$(RUN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $(STAMP)

demo: $(STAMP)
	@$(RUN)/gateway demo

demo-levels: $(STAMP)
	@$(RUN)/gateway demo --levels

test: $(STAMP)
	$(RUN)/python -m pytest -n auto

lint: $(STAMP)
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/mypy

bench: $(STAMP)
	$(RUN)/python -m tests.bench
	$(RUN)/python -m tests.bench.evidence

tamper: $(STAMP)
	$(RUN)/python -m tests.tamper

faults: $(STAMP)
	$(RUN)/python -m tests.faults

soak: $(STAMP)
	$(RUN)/python -m tests.faults.soak

clean:
	rm -rf $(VENV) demo bench-data .pytest_cache .mypy_cache .ruff_cache .hypothesis
