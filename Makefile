# make run    set up, train on the embedded MNIST, measure on the test set
# make test   set up, check style and types, run the tests
# make check  style and types alone
# make docs   run the tutorials and build the site of all pages into site/ (half an hour)
# make bench  the benchmarks behind the figures in README (three hours; needs a quiet machine)
# make bench-lab  the full comparison and the full ablation (two hours each; goes on where it was stopped)
# make bench-explore  the reports of explore, and its map beside other libraries' (an hour; needs a quiet machine)
# make bench-reader  the figures of the reader alone, with contact sheets of what it got wrong (twenty minutes)
# make bench-serve  the server under load, and learning from corrections (twenty minutes; needs a quiet machine)
# make records trains the records anew, seed by seed, and measures speed (a day of two cores; goes on where it was stopped)
# make package builds what is released, installs it into clean environments, and uses it there (two minutes)
# make soak   kills commands two hundred times at random moments, and looks at what they leave (half an hour)
# make fuzz   feeds every reader of files with what reaches new branches of it (five minutes)
# make long   the tests that CI has no time for, then package, soak and fuzz (an hour)
# make reader trains the model that ships in the package

PYTHON ?= python3
BIN := .venv/bin
RUN := runs/mnist
MODELS := src/inkdigits/reader/models

.PHONY: run test check browser docs bench bench-lab bench-explore bench-reader bench-serve records package soak fuzz long longer reader clean

run: .venv/.ready
	@echo "== training: inkdigits train mnist -o $(RUN)"
	@$(BIN)/inkdigits train mnist -o $(RUN) --force
	@echo "== measuring on the test set: inkdigits evaluate $(RUN)"
	@$(BIN)/inkdigits evaluate $(RUN)
	@echo
	@echo "Look at the digits it got wrong: open $(RUN)/report.html"
	@echo "Then try:"
	@echo "  $(BIN)/inkdigits read photo.jpg                                          a photograph, scan or drawing of digits"
	@echo "  $(BIN)/inkdigits serve --open                                            a page to draw on, and the reader over HTTP"
	@echo "  $(BIN)/inkdigits train train.csv -o runs/kaggle                          Kaggle's Digit Recognizer …"
	@echo "  $(BIN)/inkdigits predict test.csv -m runs/kaggle -o submission.csv       … and its submission"
	@echo "  $(BIN)/inkdigits train --net b-regularised && $(BIN)/inkdigits evaluate runs/b-regularised-0 --against $(RUN)"
	@echo "  $(BIN)/inkdigits --help"

test: check browser
	@echo "== tests"
	@$(BIN)/python -m pytest

check: .venv/.ready-dev
	@echo "== style: ruff"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@echo "== types: mypy"
	@$(BIN)/mypy

docs: .venv/.ready-docs
	@$(BIN)/python docs/build.py

bench: .venv/.ready-dev
	@echo "== time to accuracy of the presets"
	@$(BIN)/python benchmarks/fast.py
	@echo "== Kaggle's files"
	@$(BIN)/python benchmarks/kaggle.py
	@echo "== beside Keras"
	@$(BIN)/python benchmarks/peers.py
	@echo "== systems A and B"
	@$(BIN)/python benchmarks/systems.py
	@echo "== labels in doubt"
	@$(BIN)/python benchmarks/doubt.py
	@$(BIN)/python docs/refresh.py

bench-lab: .venv/.ready-dev
	@$(BIN)/python benchmarks/compare.py
	@$(BIN)/python benchmarks/ablate.py
	@$(BIN)/python docs/refresh.py --results

bench-explore: .venv/.ready-dev
	@$(BIN)/python benchmarks/explore.py
	@$(BIN)/python docs/refresh.py --results

bench-serve: .venv/.ready-dev
	@$(BIN)/python benchmarks/serve.py
	@$(BIN)/python benchmarks/corrections.py
	@$(BIN)/python docs/refresh.py --results

records: .venv/.ready-dev
	@echo "== time to accuracy"
	@$(BIN)/python benchmarks/fast.py
	@echo "== the most accurate, the smallest, the fastest"
	@$(BIN)/python benchmarks/records.py best tiny bulk fast least bulk-width-8
	@$(BIN)/python benchmarks/records.py tiny-width-3 tiny-width-4 tiny-width-12 tiny-width-24 bulk-width-4 bulk-width-32 bulk-width-64 bulk-width-96 --seeds 0
	@$(BIN)/python benchmarks/records.py taught longer
	@echo "== ensembles"
	@$(BIN)/python benchmarks/records.py best-wide best-narrow best-deep best-rough best-mild fast-long best-again --seeds 0
	@$(BIN)/python benchmarks/record_ensemble.py --held-out
	@$(BIN)/python benchmarks/record_ensemble.py
	@$(BIN)/python benchmarks/records.py best-kaggle bulk-kaggle --seeds 0 1
	@$(BIN)/python benchmarks/records.py tiny-kaggle --seeds 0
	@$(BIN)/python benchmarks/records.py taught-kaggle --seeds 0 1
	@$(BIN)/python benchmarks/record_ensemble.py --kaggle
	@echo "== throughput"
	@$(BIN)/python benchmarks/throughput.py
	@$(BIN)/python benchmarks/record_sizes.py
	@$(BIN)/python benchmarks/record_pictures.py
	@$(BIN)/python docs/refresh.py --results

package: .venv/.ready-dev
	@$(BIN)/python tests/package.py
	@$(BIN)/python tests/package.py --floors

soak: .venv/.ready-dev
	@$(BIN)/python tests/soak.py --kills 200 -o benchmarks/results/soak.json

long: longer package soak fuzz

longer: .venv/.ready-dev
	@$(BIN)/python -m pytest -m long

fuzz: .venv/.ready-dev
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --group fuzz
	@$(BIN)/python tests/fuzz.py --seconds 300 -o benchmarks/results/fuzz.json

# The shipped model, with its settings and figures beside it.
reader: .venv/.ready
	@$(BIN)/inkdigits train mnist --net reader -o work/reader --force
	@for file in model.onnx config.json metrics.json MODEL_CARD.md; do \
	  cp work/reader/$$file $(MODELS)/reader$$(echo .$$file | sed 's/^.model.onnx/.onnx/'); done

# The page is tested in the system's Chromium, which is installed where that is allowed.
browser:
	@if [ -n "$$INKDIGITS_CHROMIUM" ] || which chromium chromium-browser google-chrome | grep -q .; then :; \
	elif command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	  echo "== installing Chromium" && apt-get -qq update && \
	  DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends chromium >/dev/null; \
	else echo "without Chromium the tests of the page are skipped: install it, or give its path as INKDIGITS_CHROMIUM"; fi

# The environment is made when pyproject.toml or the pins change, and left alone otherwise.
.venv/.ready: pyproject.toml constraints.txt
	@echo "== setting up .venv (a few minutes the first time)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, found " + sys.version)'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[lab,serve]"
	@touch $@

.venv/.ready-dev: .venv/.ready
	@echo "== adding what the tests need"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --group dev
	@touch $@

.venv/.ready-docs: .venv/.ready
	@echo "== adding what the documentation needs"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --group docs
	@touch $@

clean:
	rm -rf .venv
