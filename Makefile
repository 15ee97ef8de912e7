# `make` sets everything up and runs the pipeline. Everything else: `make help`.
PYTHON ?= python3
JOBS ?= $(shell getconf _NPROCESSORS_ONLN)
PORT ?= 5000
UV = uv==0.13.8
# Recipes name .venv by its relative path: the folder's may have a space or a quote.
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# uv installs here, whatever environment is active.
export VIRTUAL_ENV := .venv
READY = .venv/ready
# What stands after it is run while no other make of this folder runs such a thing: two would trip over each other.
IN_TURN = import fcntl, os, sys; turn = os.open("requirements.lock", os.O_RDONLY); os.set_inheritable(turn, True); \
  fcntl.flock(turn, fcntl.LOCK_EX); os.execvp(sys.argv[1], sys.argv[1:])
# Nothing is sent to where you did not name.
NO_TELEMETRY = DO_NOT_TRACK=1 DVC_NO_ANALYTICS=1 HF_HUB_DISABLE_TELEMETRY=1 MLFLOW_DISABLE_TELEMETRY=true \
  RAY_USAGE_STATS_ENABLED=0
$(foreach variable,$(NO_TELEMETRY),$(eval export $(variable)))

.PHONY: repro jobs decide check recipe track ui test fuzz audit test-slow test-peer test-ray bench ray grid browser lock clean help

repro: $(READY)  ## run what is out of date, JOBS trainings side by side (a training has one thread)
	python -m pipeline.run --jobs $(JOBS)
	@echo "The answer is in results/report.html"

jobs: repro  ## the same; make jobs JOBS=4 for four at a time

decide: $(READY)  ## add seeds until it is decided which loss is best; make decide OPTIONS="--budget 2h"
	python -m pipeline.decide --jobs $(JOBS) $(OPTIONS)

grid: $(READY)  ## train and evaluate on the machines of a Ray cluster; make grid OPTIONS="--gpus 0.5"
	python -m pipeline.recover
	python -m pipeline.grid $(OPTIONS)

ray: $(READY)  ## install Ray, for make grid
	uv pip install --quiet --require-hashes -r requirements-ray.lock

check: $(READY)  ## check params.yaml
	python -m losslab check

recipe: $(READY)  ## make recipe NAME=…: put recipes/NAME.yaml in place of params.yaml; NAME=default takes it back
	python -m pipeline.recipes $(NAME)

track: $(READY)  ## bring MLflow up to what the results say
	python -m losslab track

ui: $(READY)  ## open MLflow on this machine, port PORT
	python -m mlflow server --backend-store-uri sqlite:///mlflow.db --host 127.0.0.1 --port $(PORT) --workers 1

test: $(READY)  ## lint, types, import layers and tests
	ruff check
	ruff format --check
	python -m mypy
	lint-imports
	OMP_NUM_THREADS=1 python -m pytest -m "not slow" -n 2 --dist loadfile --no-loadscope-reorder tests/pipeline/test_pipeline.py tests

test-slow: $(READY)  ## the tests that take minutes each
	python -m pytest -m slow

browser:  ## install Chromium for the tests of the report, where apt-get may (root on Debian or Ubuntu)
	@if command -v chromedriver > /dev/null; then echo "chromedriver is here"; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null; then \
	  export DEBIAN_FRONTEND=noninteractive; \
	  { apt-get update && apt-get install --yes --no-install-recommends chromium chromium-driver; } > /dev/null 2>&1 \
	  || echo "Chromium could not be installed: the tests of the report in a browser will be skipped"; \
	else echo "install Chromium and chromedriver (Debian: chromium chromium-driver) for the tests of the report"; fi

fuzz: $(READY)  ## 10,000 damaged files of every format
	python -m pytest tests/test_fuzz.py --hypothesis-profile=fuzz --timeout=7200

audit: $(READY)  ## known vulnerabilities of the packages in the lock files; asks a public database, and fails without one
	uvx --quiet pip-audit==2.10.1 --strict --disable-pip --require-hashes -r requirements.lock

test-peer: .peer  ## mUNet against DLStudio's own, which this fetches
	python -m pytest -m slow tests/peer

test-ray: ray  ## make grid on two Ray nodes on this machine, one of which is lost
	python -m pytest -m slow tests/pipeline/test_grid.py

bench: .peer  ## speed beside baselines and goals; ONLY="training losses" for some, COCO=FOLDER for extraction
	python -W ignore benchmarks/speed.py $(if $(ONLY),--only $(ONLY)) $(if $(COCO),--coco $(COCO))

.peer: tests/peer/requirements.txt $(READY)
	uv pip install --quiet --target .peer --no-deps --require-hashes -r tests/peer/requirements.txt
	touch $@

lock: $(READY)  ## resolve pyproject.toml into requirements.lock, and its extra ray into requirements-ray.lock
	uv pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 \
	  --group dev pyproject.toml -o requirements.lock
	sed -n 's/^ray = \["\(.*\)"\]/\1/p' pyproject.toml | uv pip compile --quiet --universal --generate-hashes --no-header \
	  --python-version 3.11 --constraints requirements.lock - -o requirements-ray.lock

clean:  ## remove checkpoints and unfinished downloads
	rm -rf checkpoints downloads

help:  ## this list
	@grep -E "^[a-z-]+:.*##" Makefile | sed -E "s/:[^#]*## */\t/" | expand -t 12

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "losslab needs Python 3.11 or newer: make PYTHON=python3.12")'
	$(PYTHON) -c '$(IN_TURN)' $(MAKE) --no-print-directory .venv/installed
	touch $@

.venv/installed: requirements.lock pyproject.toml
	test -x .venv/bin/python || $(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check $(UV)
	.venv/bin/uv pip install --quiet --compile-bytecode --require-hashes -r requirements.lock
	.venv/bin/uv pip install --quiet --no-deps --no-build-isolation --editable .
	grep -qs NO_ANALYTICS .venv/bin/activate || echo 'export $(NO_TELEMETRY)' >> .venv/bin/activate
	touch $@
