"""Entries without a tensor to pool: the command line, settings, conversion, planning, modules, bindings."""

import contextlib
import io
import itertools
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import nn

import voxpool
from hostile import Case, answered, refused
from hostile_arguments import THINGS
from hostile_values import INT32, INTEGERS, words
from voxpool import _C, cli


def _x() -> torch.Tensor:
    return torch.zeros(1, 2, 4, 5, 6)


def _command(words_: list[str]) -> int:
    """The exit status of a command that was refused as argparse or the command itself does, with a reason on stderr."""
    reason = io.StringIO()
    with contextlib.redirect_stderr(reason), contextlib.redirect_stdout(io.StringIO()):
        try:
            status = cli.main(words_)
        except SystemExit as end:
            status = end.code
    assert reason.getvalue().strip() or status == 0
    return status


def _is(expected: Any, result: Any) -> None:
    assert result == expected, result


def _commands() -> Iterator[Case]:
    options = ("--kernel-size", "--stride", "--padding", "--dilation")
    size = ["1", "2", "4", "5", "6"]
    for option, value in itertools.product(options, [*map(words, INTEGERS), "2.5", "x", "nan", "0x2", "", "2e0", "½"]):
        # A value that begins with a minus has to be written with the option, or is one itself.
        command = ["explain", *size, "-k", "2", f"{option}={value}"]
        fine = {"--kernel-size": "1 2 3", "--stride": None, "--padding": "0 1", "--dilation": "1 2 3"}[option]
        legal = value in (fine.split() if fine else [str(v) for v in INTEGERS if 0 < v < INT32])
        yield answered(f"explain {option} {value}", partial(_command, command), partial(_is, 0 if legal else 2))
    for place, value in itertools.product(range(5), [*map(words, INTEGERS), "2.5", "", "x"]):
        if value in ("2", "3", "5", "65536", "1073741824", "2147483647", "2147483648", "2147483649"):
            continue  # fine, as nothing is pooled
        command = ["explain", "-k", "1", "--", *[value if i == place else n for i, n in enumerate(size)]]
        if value in ("4294967295", "4294967296", "4294967298", "1") or (place == 0 and value == "0"):
            continue
        yield answered(f"explain size {value} at {place}", partial(_command, command), partial(_is, 2))
    for count in (0, 1, 2, 3, 6, 7, 1000):
        command = ["explain", *["4"] * count, "-k", "2"]
        yield answered(f"explain {count} sizes", partial(_command, command), partial(_is, 2))
    for count in (2, 4, 5, 6, 7, 1000):
        command = ["explain", *size, "-k", *["1"] * count]
        yield answered(f"explain {count} kernel sizes", partial(_command, command), partial(_is, 2))
    for dtype in (
        "float",
        "floaty",
        "bool",
        "complex64",
        "__name__",
        "Tensor",
        "",
        "quint8",
        "float8_e4m3fn",
        "uint4",
        ".",
    ):
        command = ["explain", *size, "-k", "2", "--dtype", dtype]
        yield answered(f"explain {dtype}", partial(_command, command), partial(_is, 0 if dtype == "float" else 2))
    for command in (
        ["fly"],
        ["info", "x"],
        ["explain"],
        ["--json"],
        ["check", "1"],
        ["\udcff"],
        ["explain", "--device", "tpu"],
    ):
        yield answered(f"command {command!r}", partial(_command, command), partial(_is, 2))


def _settings() -> Iterator[Case]:
    for value in ("", "AVX2", "sse", "avx512\0", "x" * 10**6, None, 2, b"sse", object(), ["avx2"]):
        yield refused(f"set_cpu_capability {words(value)[:20]}", partial(voxpool.set_cpu_capability, value))
    for value in (None, 3, "model", [nn.MaxPool3d(2)], nn.MaxPool3d, torch.ones(1)):
        yield refused(f"convert_max_pool {words(value)[:20]}", partial(voxpool.convert_max_pool, value))

    def itself() -> torch.Tensor:
        model = nn.Sequential(nn.MaxPool3d(2))
        model[0].register_module("again", model[0])
        return voxpool.convert_max_pool(model)[0].kernel_size

    yield answered("convert_max_pool of a module inside itself", itself, partial(_is, 2))
    for device in ("tpu", "cpu:x", "", "cuda:-1", 3.5, [], "xla", "mps"):
        yield refused(f"explain on {device!r}", partial(voxpool.explain, _x(), 2, device=device))
    for value, way in itertools.product(INTEGERS, range(2)):
        sizes, title = (value, words(value)) if way else ((4, value, 5), f"(4, {words(value)}, 5)")
        kept = min(value, 1 << 62)
        if 1 <= value <= 1 << 62:
            expected = (kept,) if way else (4, kept, 5)
            halves = tuple(-(-n // 2) for n in expected)
            call = partial(voxpool.output_size, sizes, 3, 2, "same")
            yield answered(f"output_size of {title}, 'same'", call, partial(_is, halves))
            call = partial(voxpool.output_size, sizes, 1, INT32 - 1, ceil_mode=True)
            yield answered(f"output_size of {title}", call, partial(_is, tuple(-(-n // (INT32 - 1)) for n in expected)))
        else:
            for padding in ("same", "valid", ((1, 1),) * (1 if way else 3)):
                yield refused(f"output_size of {title}, {padding}", partial(voxpool.output_size, sizes, 3, 2, padding))
    for name, (thing, looks_like_two) in THINGS.items():
        if not looks_like_two:
            yield refused(f"output_size of {name}", lambda t=thing: voxpool.output_size(t(), 2))
    # A meta tensor may be longer than a sum of 64 bits allows.
    for length, padding in itertools.product((2**62 + 1, 2**63 - 1), (0, "same", [(1, 1)])):

        def call(n=length, p=padding):
            return voxpool.max_pool1d(torch.empty(1, n, dtype=torch.uint8, device="meta"), 3, 2, p)

        yield refused(f"meta tensor of length {length}, padding {padding}", call)


def _modules() -> Iterator[Case]:
    for name in ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices", "relu"):
        for thing_name, (thing, looks_like_two) in THINGS.items():
            if looks_like_two or (name == "stride" and thing_name in ("None", "()")):
                continue

            def assigned(name=name, thing=thing):
                module = voxpool.nn.MaxPool3d(2)
                setattr(module, name, thing())
                return module(_x())

            if name in ("return_indices", "relu"):
                continue
            yield refused(f"module.{name} = {thing_name}", assigned)
    for op, pair, kernel, padding in (
        ("no_such", False, [2], [0]),
        ("max_pool3d", True, [2], [0]),
        ("max_pool3d_with_indices", False, [2], [0]),
        ("max_pool3d", False, 2, [0]),
        ("max_pool3d", False, [2**64], [0]),
        ("max_pool3d", False, [2], None),
        ("_max_pool3d_taps", False, [2], "same"),
    ):
        yield refused(
            f"_C.bind_pool {op}, {pair}, {kernel}, {padding}",
            partial(_C.bind_pool, op, pair, kernel, [], padding, [1], False),
        )
    for thing in (None, 3, "x", [torch.ones(1)], torch.Tensor):

        def call(t=thing):
            return _C.bind_pool("max_pool3d", False, [2], [], [0], [1], False)(t)

        yield refused(f"bound pooling of {words(thing)}", call)


def cases() -> Iterator[Case]:
    return itertools.chain(_commands(), _settings(), _modules())
