"""Goes on with the examples of the differential tests until the time is over: python tests/python/fuzz.py SECONDS

Prints the number of cases; after a failure also the decorator by which Hypothesis tries the same example again. What is
found becomes a test of its own.
"""

import argparse
import logging
import os
import random
import sys
import time
import traceback
from collections.abc import Callable

import hypothesis

# Before the tests are read, which take what is set then. Twenty at a time: all of them have their turn in short runs.
hypothesis.settings.register_profile(
    "fuzz",
    deadline=None,
    database=None,
    print_blob=True,
    max_examples=20,
    report_multiple_bugs=False,
    phases=(hypothesis.Phase.generate, hypothesis.Phase.shrink),
)
hypothesis.settings.load_profile("fuzz")
os.environ["KERAS_BACKEND"] = "torch"
os.environ["KERAS_HOME"] = os.devnull

# ruff: noqa: E402 - after the settings.
import torch

import test_differential
import test_differential_models


def properties() -> list[Callable[[], None]]:
    """The tests that Hypothesis gives examples to."""
    found = {
        function
        for module in (test_differential, test_differential_models)
        for function in vars(module).values()
        if hypothesis.is_hypothesis_test(function)
    }
    return sorted(found, key=lambda function: function.__name__)


class Cases:
    """Counts the examples that went through to the end."""

    def __init__(self) -> None:
        self.count = 0

    def counting(self, test: Callable[..., None]) -> Callable[..., None]:
        def counted(*args, **kwargs):
            test(*args, **kwargs)
            self.count += 1

        return counted


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("seconds", type=float)
    parser.add_argument("--only", metavar="NAME", help="the tests whose name contains this")
    arguments = parser.parse_args()
    end = time.monotonic() + arguments.seconds
    logging.disable()  # torch reports every refusal of a fake tensor
    torch.set_num_threads(1)
    cases, failures = Cases(), 0
    tests = [test for test in properties() if (arguments.only or "") in test.__name__]
    for test in tests:
        test.hypothesis.inner_test = cases.counting(test.hypothesis.inner_test)
    while time.monotonic() < end:
        random.shuffle(tests)
        for test in tests:
            if time.monotonic() >= end:
                break
            try:
                hypothesis.seed(random.getrandbits(64))(test)()
            except Exception:
                failures += 1
                print(f"\n{test.__module__}.{test.__name__} failed:")
                traceback.print_exc()
    difference = f"{failures} failed" if failures else "no difference found"
    print(f"{cases.count} cases of the operators, {difference}")
    return min(failures, 1)


if __name__ == "__main__":
    sys.exit(main())
