# The two commands are `make demo` and `make test`: both start from nothing, and take seconds when nothing changed.
# TORCH=2.15.0 picks another torch, PYTHON=python3.12 another interpreter, VENV=... another environment.

TORCH = 2.11.0
PYTHON = $(shell csrc/cmake/check_system.sh --print-python)
VENV = .venv
# What installs and builds everything else, to the letter.
TOOLS = pip==26.3 setuptools==81.0.0 cmake==4.4.4 ninja==1.13.2

PY = $(VENV)/bin/python
STAMPS = $(VENV)/stamps
OUTER_PATH := $(PATH)
export PATH := $(abspath $(VENV)/bin):$(PATH)
# Where nvcc is found: two architectures, which later devices run as well, instead of all that torch was built for.
export TORCH_CUDA_ARCH_LIST ?= 8.0;9.0+PTX

SOURCES = $(shell find csrc cuda python/voxpool CMakeLists.txt setup.py pyproject.toml -type f \
            -not -path '*/__pycache__/*' -not -path 'python/voxpool/lib/*' -not -path 'python/voxpool/include/*' \
            -not -path 'python/voxpool/share/*' -not -name '_build.py' -not -name '_C.*.so')
# Where setup.py keeps CMake's build: the tests are built in the same tree, so that nothing is compiled twice.
BUILD = $$($(PY) setup.py --print-build-dir)
CPP = $$(git ls-files '*.cpp' '*.h' '*.cu' '*.cuh')

.PHONY: demo test bench gpu-check gpu-bench package gradcheck sanitize install format lint clean
.DELETE_ON_ERROR:

demo: install
	$(PY) -m voxpool demo

# Some 60 cases against every peer of the extra `bench`: under 15 minutes on an idle machine.
bench: install $(STAMPS)/bench
	mkdir -p build
	$(PY) -m voxpool bench --json build/bench.json --chart build/bench.svg

# Runs both sets of tests even if the first fails.
test: install
	csrc/cmake/check_system.sh --tests
	cmake -B $(BUILD) -DVOXPOOL_BUILD_TESTS=ON > /dev/null
	cmake --build $(BUILD) --parallel $${MAX_JOBS:-$$(nproc)}
	status=0; ctest --test-dir $(BUILD) --output-on-failure --parallel 2 || status=1; \
	$(PY) -m pytest --numprocesses 2 --dist loadgroup || status=1; exit $$status

# Where there is a GPU, in the Python environment that is active and not in $(VENV); OUT=folder takes logs and results.
gpu-check gpu-bench:
	PATH="$(OUTER_PATH)" .ci/gpu $(@:gpu-%=%) $(OUT)

# The sdist, the wheel built from it in another folder, and that wheel in an environment that has torch and nothing else.
package: install
	$(PY) -m pytest -v tests/python/check_distribution.py

gradcheck: install
	$(PY) -m pytest -k gradcheck

sanitize: $(STAMPS)/tools
	csrc/cmake/check_system.sh --tests
	cmake -S . -B build/sanitize -G Ninja -DVOXPOOL_SANITIZE=ON -DVOXPOOL_WARNINGS_AS_ERRORS=ON > /dev/null
	cmake --build build/sanitize --parallel $${MAX_JOBS:-$$(nproc)}
	ctest --test-dir build/sanitize --output-on-failure --parallel 2

install: $(STAMPS)/installed

$(STAMPS)/system:
	csrc/cmake/check_system.sh
	$(PYTHON) -m venv $(VENV)
	mkdir -p $(STAMPS) && touch $@

$(STAMPS)/tools: $(STAMPS)/system
	$(PY) -m pip install --upgrade $(TOOLS)
	touch $@

# One stamp for each version: another TORCH= replaces torch and builds again.
$(STAMPS)/torch-$(TORCH): $(STAMPS)/tools
	$(PY) -m pip install "torch==$(TORCH)"
	rm -f $(STAMPS)/torch-* && touch $@

# torch is named again for the resolver: every torchvision asks for one torch, and the newest would replace this one.
$(STAMPS)/extras: pyproject.toml $(STAMPS)/torch-$(TORCH)
	$(PY) setup.py --print-extras demo test > $@
	$(PY) -m pip install "torch==$(TORCH)" --requirement $@

$(STAMPS)/bench: $(STAMPS)/extras
	$(PY) setup.py --print-extras bench > $@.txt
	$(PY) -m pip install --requirement $@.txt && mv $@.txt $@

$(STAMPS)/installed: $(SOURCES) $(STAMPS)/extras
	$(PY) -m pip install --verbose --no-build-isolation --no-deps .
	touch $@

$(STAMPS)/dev: pyproject.toml $(STAMPS)/installed
	$(PY) setup.py --print-extras dev > $@
	$(PY) -m pip install --requirement $@

format: $(STAMPS)/dev
	clang-format -i $(CPP)
	ruff format && ruff check --fix

lint: $(STAMPS)/dev
	clang-format --dry-run --Werror $(CPP)
	ruff format --check && ruff check && mypy

clean:
	rm -rf build dist python/*.egg-info
