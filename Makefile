# `make repro`: everything from a fresh clone to the report. `make test`: what CI runs.
# Both set up .venv from constraints.txt, again only when the lock or pyproject.toml changed.

PYTHON ?= python3.11
BIN := .venv/bin
STAMP := .venv/.installed
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: repro test test-all reliability fuzz lint certificate site clean

repro: $(STAMP)
	$(BIN)/python -m flows pipeline

test: $(STAMP)
	$(BIN)/python -m pytest -n 2 -m "not slow"

test-all: $(STAMP)
	$(BIN)/python -m pytest -n 2

reliability: $(STAMP)  # every numbered case, slow ones too, into the table of docs/reliability.md
	$(BIN)/python -m pytest -n 2 --cases=docs/reliability.md

fuzz: $(STAMP)  # 10,000 hostile files of each kind, new ones each day: see tests/fuzz.py
	$(BIN)/python tests/fuzz.py --first $$(date +%Y%m%d)0000

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy benchmarks/*.py

# The same bytes on plain calls, DVC, a deployment, Dask and Ray? Minutes long.
certificate: $(STAMP)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dask,ray]'
	$(BIN)/python benchmarks/certificate.py

site: $(STAMP)  # the documentation as a site, in site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

clean:
	rm -rf .venv .video2gif site .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(STAMP): constraints.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	# `.venv/bin/dvc` starts programs by name: its own environment comes first, activated or not.
	echo 'import os, sys; b = os.path.join(sys.prefix, "bin") + os.pathsep; p = os.environ.get("PATH", ""); os.environ["PATH"] = p if p.startswith(b) else b + p' \
	  > $$($(BIN)/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")/own_programs_first.pth
	touch $@
