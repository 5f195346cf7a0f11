#!/bin/sh
# Checks for what PyPI cannot bring: a C++20 compiler, Python with venv and headers; for --tests GoogleTest and the
# linters of C++; for --fuzz GoogleTest and clang; for --emulation other processors, and a compiler for one of them.
# Names the Debian packages that are missing; as root on Debian, installs them. --print-python prints the interpreter
# to use.
set -eu

is_recent() {
  command -v "$1" > /dev/null && "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null
}

find_python() {
  for candidate in python3 python3.14 python3.13 python3.12 python3.11; do
    if is_recent "$candidate"; then
      echo "$candidate"
      return
    fi
  done
}

has() {
  command -v "$1" > /dev/null
}

compiles() {
  printf '%s\n' "$1" | "${CXX:-c++}" -std=c++20 -x c++ -fsyntax-only - 2> /dev/null
}

missing_packages() {
  compiles '#include <span>
#include <bit>
static_assert(std::bit_cast<int>(1) == 1);' || echo g++
  python=$(find_python)
  if [ -z "$python" ]; then
    echo python3 python3-venv python3-dev
  else
    "$python" -c 'import ensurepip, venv' 2> /dev/null || echo python3-venv
    "$python" -c 'import os, sys, sysconfig
sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' || echo python3-dev
  fi
  case $1 in
    --tests)
      compiles '#include <gtest/gtest.h>' || echo libgtest-dev
      has clang-tidy || echo clang-tidy
      has cppcheck || echo cppcheck
      ;;
    --fuzz)
      compiles '#include <gtest/gtest.h>' || echo libgtest-dev
      echo 'extern "C" int LLVMFuzzerTestOneInput(const char*, unsigned long) { return 0; }' |
        clang++ -fsanitize=fuzzer,address -x c++ -o /dev/null - 2> /dev/null || echo clang
      ;;
    --emulation)
      compiles '#include <gtest/gtest.h>' || echo libgtest-dev
      has aarch64-linux-gnu-g++ || echo g++-aarch64-linux-gnu
      has qemu-aarch64-static && has qemu-x86_64-static || echo qemu-user-static
      [ -e /usr/src/googletest/googletest/src/gtest-all.cc ] || echo googletest
      ;;
  esac
}

mode=${1:-}
if [ "$mode" = --print-python ]; then
  find_python
  exit
fi

missing=$(missing_packages "$mode" | tr '\n' ' ')
[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
  echo "Installing $missing"
  apt-get update -qq
  # shellcheck disable=SC2086
  DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $missing
  missing=$(missing_packages "$mode" | tr '\n' ' ')
  [ -n "$missing" ] || exit 0
fi
echo "voxpool needs a C++20 compiler and Python >= 3.11 with venv and headers. Missing here; on Debian:" >&2
echo "    sudo apt-get install $missing" >&2
exit 1
