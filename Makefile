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
# How long `make fuzz` tries new cases, half of it on the kernels and half on the operators.
SECONDS = 60
CPP = $$(git ls-files '*.cpp' '*.h' '*.cu' '*.cuh')

.PHONY: demo test bench gpu-check gpu-bench package gradcheck hostile sanitize sanitize-python tsan valgrind large emulate \
        fuzz build-tests install format lint clean
.DELETE_ON_ERROR:

demo: install
	$(PY) -m voxpool demo

# Some 60 cases against every peer of the extra `bench`: under 15 minutes on an idle machine.
bench: install $(STAMPS)/bench
	mkdir -p build
	$(PY) -m voxpool bench --json build/bench.json --chart build/bench.svg

build-tests: install
	csrc/cmake/check_system.sh --tests
	cmake -B $(BUILD) -DVOXPOOL_BUILD_TESTS=ON > /dev/null
	cmake --build $(BUILD) --parallel $${MAX_JOBS:-$$(nproc)}

# Runs both sets of tests even if the first fails.
test: build-tests
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

# Thousands of hostile calls, with a process for every single one where `make test` lets 50 share one.
hostile: install
	OMP_NUM_THREADS=1 $(PY) tests/python/hostile.py 1

sanitize: $(STAMPS)/tools
	csrc/cmake/check_system.sh --tests
	cmake -S . -B build/sanitize -G Ninja -DVOXPOOL_SANITIZE=ON -DVOXPOOL_WARNINGS_AS_ERRORS=ON > /dev/null
	cmake --build build/sanitize --parallel $${MAX_JOBS:-$$(nproc)}
	ctest --test-dir build/sanitize --output-on-failure --parallel 2

# Kernels on many threads under the thread sanitizer; GCC 12's does not know the addresses of systems that randomise them
# most. Where a container forbids to ask for others, those of the system have to do.
tsan: $(STAMPS)/tools
	csrc/cmake/check_system.sh --tests
	cmake -S . -B build/tsan -G Ninja -DVOXPOOL_SANITIZE=thread -DVOXPOOL_WARNINGS_AS_ERRORS=ON > /dev/null
	cmake --build build/tsan --parallel $${MAX_JOBS:-$$(nproc)}
	$$(setarch -R echo setarch -R 2> /dev/null) ctest --test-dir build/tsan --output-on-failure

# Results of more than 2^31 elements of every width: up to 20 GB of memory; a test that does not fit says how much.
large: install
	$(PY) -m pytest -m large

# The kernels on processors that are not here: 64-bit ARM and the oldest x86-64. LargeStrides takes terabytes of addresses,
# for which qemu keeps tables.
emulate: install
	csrc/cmake/check_system.sh --emulation
	cmake -S . -B build/aarch64 -G Ninja --toolchain csrc/cmake/aarch64-linux-gnu.cmake -DVOXPOOL_KERNELS_ONLY=ON \
	  -DVOXPOOL_WARNINGS_AS_ERRORS=ON > /dev/null
	cmake --build build/aarch64 --target kernel_tests --parallel $${MAX_JOBS:-$$(nproc)}
	ctest --test-dir build/aarch64 --tests-regex '^kernels' --exclude-regex LargeStrides --output-on-failure --parallel 2
	cmake -B $(BUILD) -DVOXPOOL_BUILD_TESTS=ON > /dev/null
	cmake --build $(BUILD) --target kernel_tests --parallel $${MAX_JOBS:-$$(nproc)}
	.ci/emulate $(BUILD)/tests/cpp/kernel_tests

fuzz: install
	csrc/cmake/check_system.sh --fuzz
	cmake -S . -B build/fuzz -G Ninja -DVOXPOOL_SANITIZE=ON -DVOXPOOL_BUILD_FUZZER=ON -DCMAKE_CXX_COMPILER=clang++ > /dev/null
	cmake --build build/fuzz --parallel $${MAX_JOBS:-$$(nproc)}
	tests/fuzz/run.sh build/fuzz $(PY) $(SECONDS)

# The Python tests of what is compiled, with an instrumented copy of the package in front of the installed one. Python
# itself is not instrumented, so the runtimes come first; libstdc++ with them, whose exceptions they watch. torch and
# NumPy free in one library what another allocated; what Python never frees is no leak; tests ask for memory that there is
# not, and for a signal.
SANITIZED = build/sanitize-python
SANITIZED_PACKAGE = $(SANITIZED)/package
NOT_SANITIZED = bench* cli* compile* cuda* demo* enable_tracing* examples* keras* leaks* memory* networks* onnx* packaging* \
                serving* tools* worlds_keras*

sanitize-python: install
	cmake -S . -B $(SANITIZED) -G Ninja -DVOXPOOL_SANITIZE=ON -DVOXPOOL_BUILD_PYTHON=ON -DVOXPOOL_CUDA=OFF \
	  -DPython_EXECUTABLE=$(abspath $(PY)) -DCMAKE_CXX_FLAGS_RELEASE=-O1 > /dev/null
	cmake --build $(SANITIZED) --target voxpool _C --parallel $${MAX_JOBS:-$$(nproc)}
	rm -rf $(SANITIZED_PACKAGE) && mkdir -p $(SANITIZED_PACKAGE)
	cp -r python/voxpool $(SANITIZED_PACKAGE) && cmake --install $(SANITIZED) --prefix $(SANITIZED_PACKAGE)/voxpool > /dev/null
	LD_PRELOAD="$$(for name in asan ubsan stdc++; do $${CXX:-c++} -print-file-name=lib$$name.so; done | tr '\n' ' ')" \
	ASAN_OPTIONS=detect_leaks=0:alloc_dealloc_mismatch=0:allocator_may_return_null=1:handle_segv=0 \
	UBSAN_OPTIONS=print_stacktrace=1 PYTHONPATH=$(SANITIZED_PACKAGE) \
	$(PY) -m pytest --numprocesses 2 --dist loadgroup $(NOT_SANITIZED:%=--ignore-glob='*/test_%')

# valgrind knows no AVX-512, which its processor therefore does not have.
valgrind: build-tests
	tests/cpp/valgrind.py $(BUILD)/tests/cpp/kernel_tests --gtest_filter='*RandomCases:*ForeignTaps*:*MoreTaps*:*Outside*'

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

format: $(STAMPS)/extras
	clang-format -i $(CPP)
	ruff format && ruff check --fix

# As in `make test`, and clang-tidy also on the tests and the other instruction sets.
lint: install
	csrc/cmake/check_system.sh --tests
	cmake -B $(BUILD) -DVOXPOOL_BUILD_TESTS=ON -DCMAKE_EXPORT_COMPILE_COMMANDS=ON > /dev/null
	status=0; $(PY) -m pytest tests/python/test_lint.py || status=1; \
	clang-tidy --quiet --extra-arg=-Wno-unknown-warning-option -p $(BUILD) csrc/cpu/avx*.cpp tests/cpp/*.cpp \
	  || status=1; exit $$status

clean:
	rm -rf build dist python/*.egg-info
