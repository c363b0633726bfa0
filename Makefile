# `make demo` and `make test` do all set-up by themselves; a second call skips what is done.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
TORCH := torch==2.13.0
CPU_WHEELS := https://download.pytorch.org/whl/cpu
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test check format setup clean

demo: $(READY)
	@$(BIN)/drive-vqa demo $(DEMO)

# One thread for each of the two workers: more would wait for each other. Files in their order, long ones first: else xdist
# takes those with the fewest tests last, which are the longest.
test: $(READY)
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(TESTS)

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

setup: $(READY)

# System libraries: open3d needs most of these; the browser tests need chromium and are skipped without it.
define SYSTEM_LIBRARIES
missing=""; known="$$(PATH="$$PATH:/sbin" ldconfig -p)"; \
need() { case "$$known" in *"$$1"*) ;; *) missing="$$missing $$2";; esac; }; \
need libusb-1.0.so.0 libusb-1.0-0; need libGL.so.1 libgl1; need libEGL.so.1 libegl1; need libX11.so.6 libx11-6; \
need libgomp.so.1 libgomp1; need libglib-2.0.so.0 libglib2.0-0; \
$(PYTHON) -c "import ensurepip" 2>/dev/null || missing="$$missing python3-venv"; \
browser=""; command -v chromedriver >/dev/null || browser=" chromium chromium-driver"; \
if [ -n "$$missing$$browser" ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	echo "installing system packages:$$missing$$browser"; \
	apt-get update -qq; \
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing$$browser >/dev/null; \
elif [ -n "$$missing" ]; then \
	echo "Install these system packages, then run make again: sudo apt-get install$$missing" >&2; exit 1; \
fi
endef

# Where there is no NVIDIA GPU the CPU build of torch is taken: the ordinary one pulls gigabytes of CUDA.
define INSTALL_TORCH
if command -v nvidia-smi >/dev/null && nvidia-smi >/dev/null 2>&1; then $(PIP) $(TORCH); \
else $(PIP) $(TORCH)+cpu 2>/dev/null || $(PIP) $(TORCH)+cpu --index-url $(CPU_WHEELS); fi
endef

$(READY): pyproject.toml Makefile
	@echo "setting up $(VENV) (once, a few minutes)"
	@$(SYSTEM_LIBRARIES)
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV)
	@$(INSTALL_TORCH)
	@$(PIP) --editable '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) demo
