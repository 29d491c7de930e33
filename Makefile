# Everything runs in .venv, which the first command that needs it creates.
PYTHON ?= python3
BIN := .venv/bin
# One thread per process: notebooks run side by side, and their threads would get into each other's way.
# BENCH_ROUNDS=0: the cells of benchmarks run once, and nobody looks at their times.
TEST_ENV := BENCH_ROUNDS=0 OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 MPLBACKEND=agg TQDM_MININTERVAL=3600 PYTHONHASHSEED=0
.DEFAULT_GOAL := help
.PHONY: help demo test test-all test-oldest lab docs docs-of book readme refresh clean

help: ## List what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

.venv/ready: settings.ini setup.py
	@$(PYTHON) tools/install.py .venv

.venv-oldest/ready: settings.ini setup.py tools/oldest.txt
	@$(PYTHON) tools/install.py .venv-oldest tools/oldest.txt

demo: .venv/ready ## Render the motion videos, train two networks on them and compare: about 4 minutes
	@$(BIN)/video_convs demo --out runs/demo

test: .venv/ready ## Check that notebooks and package are in step, run every notebook and all tests
	@$(TEST_ENV) $(BIN)/python tools/run_tests.py

test-all: .venv/ready ## The same, and every network through the compiler and ONNX: about 20 minutes more
	@$(TEST_ENV) $(BIN)/python tools/run_tests.py --slow

test-oldest: .venv-oldest/ready ## The tests with the oldest versions that are supported, in .venv-oldest
	@$(TEST_ENV) .venv-oldest/bin/python tools/run_tests.py

lab: .venv/ready ## Open the notebooks in JupyterLab
	@$(BIN)/jupyter lab --notebook-dir=nbs

docs: .venv/ready ## Build the site from the notebooks into docs/_build/html
	@$(BIN)/python tools/site_pages.py

docs-of: .venv/ready ## Build the site of a release, which make docs puts beside today's: TAG=v0.1.0
	@$(BIN)/python tools/site_versions.py $(TAG)

book: .venv/ready ## The notebooks as one EPUB, and as a PDF where Chromium is installed
	@$(BIN)/python tools/site_book.py

readme: .venv/ready ## Write README.md from nbs/index.ipynb
	@$(BIN)/python tools/readme.py

refresh: .venv/ready ## Execute all notebooks in reading order, keep their outputs, rewrite README.md
	@$(BIN)/python tools/refresh.py

clean: ## Remove what was built (not .venv, not runs/)
	@rm -rf docs/_build build dist .pytest_cache .hypothesis
	@find nbs video_convs tests tools -name __pycache__ -prune -exec rm -rf {} +
