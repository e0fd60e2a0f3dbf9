# The commands that people and programs rely on. See README.md.
PYTHON ?= python3
# Each PYTHON but the default one gets an environment of its own, such as .venv-3.12.
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
VENV := .venv$(if $(filter-out python3,$(PYTHON)),-$(VERSION))
BIN := $(VENV)/bin
UV_VERSION := 0.13.9
DEMO_DATA := runs/data
DEMO_RUN := runs/demo
DATA_DIR ?= $(DEMO_DATA)
GIN_FILE ?= configs/demo.gin
CLEAN_RUN ?= runs/cleaned
NOTEBOOK := experiments/notebooks/inspect_checkpoint

# TensorFlow loads in half the time if Python keeps what it compiles, and that is a fourth of what is installed.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: install demo test test-quick test-python lint stats check-data notebook study study-quick study-tuxpaint clean-and-train docs site lock faults clean

install: $(VENV)/installed

# uv installs the lock file in seconds where pip takes minutes; it comes from PyPI like everything else.
$(VENV)/installed: requirements.lock setup.py
	$(PYTHON) -c 'import sys; assert (3, 10) <= sys.version_info < (3, 13), "Python 3.10, 3.11 or 3.12 is needed, found " + sys.version'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --requirements requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	touch $@

demo: install
	$(BIN)/python -m experiments.prepare_data --dataset=synthetic --data_dir=$(DEMO_DATA)
	$(BIN)/python -m experiments.pretrain --gin_file=configs/demo.gin --data_dir=$(DEMO_DATA) --workdir=$(DEMO_RUN)
	$(BIN)/python -m experiments.evaluate --workdir=$(DEMO_RUN) --data_dir=$(DEMO_DATA)
	$(BIN)/python -m experiments.report --workdir=$(DEMO_RUN) --data_dir=$(DEMO_DATA)

# In parts, since TensorFlow keeps the graphs of a process: the whole in one would need more than 20 GiB. The number before
# each part is that of its workers: three for the last one, which often waits for programs that it started.
test: install
	status=0; for part in "2 tests --ignore=tests/experiments" "2 tests/experiments/*/" "3 tests/experiments/test_*.py"; do \
		$(BIN)/python -m pytest --dist loadfile --no-loadscope-reorder --quiet -n $$part || status=1; done; exit $$status

# For every few minutes of work: all but the files marked slow. What it leaves to make test is in CONTRIBUTING.md.
test-quick: install
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --quiet -m "not slow"

# What depends on the version of Python, or of what differs between them: make test-python PYTHON=python3.12
# The files are named, since importing all others takes longer than many of these tests. The longest are last in the alphabet.
test-python: install
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --quiet -m every_python \
		$$(grep --recursive --files-with-matches --include='test_*.py' every_python tests | sort --reverse)

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/pyrefly check --python-interpreter-path $(BIN)/python --summary=none --output-format=min-text

# What is in a prepared data set, as a page: make stats DATASET=ucf101 DATA_DIR=data_dir
stats: install
	$(BIN)/python -m experiments.dataset_stats --dataset="$(DATASET)" --data_dir="$(DATA_DIR)"

# Everything decoded once: make check-data DATASET=ucf101 DATA_DIR=data_dir
check-data: install
	$(BIN)/python -m experiments.check_data --dataset="$(DATASET)" --data_dir="$(DATA_DIR)"

# Trains, ranks the training clips, drops the texts and sounds that fit worst, and trains again; a second call resumes.
#   make clean-and-train DATASET=folder GIN_FILE=configs/my_videos.gin DATA_DIR=data_dir CLEAN_RUN=runs/cleaned DROP_SHARE=0.2
clean-and-train: install
	test -n "$(DATASET)" || { echo "DATASET should name a prepared data set, such as DATASET=folder."; exit 2; }
	$(BIN)/python -m experiments.pretrain --gin_file="$(GIN_FILE)" --gin_bindings="pretrain.datasets = ('$(DATASET)',)" \
		--data_dir="$(DATA_DIR)" --workdir="$(CLEAN_RUN)/first"
	test -f "$(CLEAN_RUN)/ranking/clips.csv" || $(BIN)/python -m experiments.rank_clips --workdir="$(CLEAN_RUN)/first" \
		--dataset="$(DATASET)" --split=train --data_dir="$(DATA_DIR)" --output="$(CLEAN_RUN)/ranking"
	$(BIN)/python -m experiments.pretrain --gin_file="$(GIN_FILE)" --gin_bindings="pretrain.datasets = ('$(DATASET)',)" \
		--gin_bindings="pretrain.clip_weights = @ClipWeights()" \
		--gin_bindings="ClipWeights.path = '$(CLEAN_RUN)/ranking/clips.csv'" \
		$(if $(DROP_SHARE),--gin_bindings="ClipWeights.drop_share = $(DROP_SHARE)") \
		--data_dir="$(DATA_DIR)" --workdir="$(CLEAN_RUN)/second"

# Runs the notebook again from its text form, on the demo's run and a plain one; makes what is missing.
notebook: install
	test -d $(DEMO_RUN) || $(MAKE) demo
	test -d $(DEMO_RUN)_plain || $(BIN)/python -m experiments.pretrain --gin_file=configs/demo.gin \
		--gin_bindings="pretrain.harmonizer = 'sum'" --data_dir=$(DEMO_DATA) --workdir=$(DEMO_RUN)_plain
	$(BIN)/jupytext --quiet --update --to ipynb $(NOTEBOOK).py
	$(BIN)/jupyter execute --inplace --NotebookClient.record_timing=False $(NOTEBOOK).ipynb

# The study on planted noise, 5 to 10 hours without the committed docs/study/results.jsonl; with it, and after a stop, it resumes.
# study-quick: a small version.
study: install
	$(BIN)/python -m experiments.study --gin_file=configs/study/full.gin --data_dir=runs/study_data --study_dir=runs/study \
		--output_dir=docs/study --jobs=2

study-quick: install
	$(BIN)/python -m experiments.study --gin_file=configs/study/quick.gin --data_dir=runs/study_quick/data \
		--study_dir=runs/study_quick --output_dir=runs/study_quick/page --jobs=2

# The same in small on real pictures with spoken and written names: apt-get install tuxpaint-stamps-default
study-tuxpaint: install
	$(BIN)/python -m experiments.study --gin_file=configs/study/tuxpaint.gin --data_dir=runs/study_tuxpaint/data \
		--study_dir=runs/study_tuxpaint --output_dir=docs/study/tuxpaint

# The pages about the methods: run it when one of their docstrings changes.
docs: install
	$(BIN)/python -m experiments.document_methods

# The documentation site, in site/. A broken link fails it. To look at it: python -m http.server --directory site
site: install
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# Run it when setup.py changes. `fewest`: one version of each package for all Pythons where one exists.
lock: install
	$(BIN)/uv pip compile --quiet --universal --python-version 3.10 --fork-strategy fewest \
		--extra dev setup.py --generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' --output-file requirements.lock

# Damaged files, wrong configurations, kills and full disks for every program; CONTRIBUTING.md explains them.
faults: install
	$(BIN)/python tests/faults/tries.py
	$(BIN)/python tests/faults/kills.py

clean:
	rm -rf .venv .venv-* runs site
