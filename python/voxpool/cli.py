"""The command line: python -m voxpool info | pool | demo | bench | explain | check, and two paths for builds."""

import argparse
import json
import sys
from collections.abc import Sequence

import torch

import voxpool


def main(arguments: Sequence[str]) -> int:
    """Runs one command and returns the exit status: 0, 1 for a failed check, 2 for arguments that make no sense."""
    if arguments and arguments[0] == "demo":
        # The demo, the benchmark and pooling in files have their own flags and need packages that pooling does not.
        from voxpool.demo import main as demo

        return demo(arguments[1:])
    if arguments and arguments[0] == "bench":
        from voxpool.bench import main as bench

        return bench(arguments[1:])
    if arguments and arguments[0] == "pool":
        from voxpool.outofcore.command import main as pool

        return pool(arguments[1:])

    parser = _parser()
    options = parser.parse_args(arguments)
    if options.cmake_prefix_path:
        print(voxpool.cmake_prefix_path)
    elif options.include_path:
        print(voxpool.include_path)
    elif options.command == "info":
        _print_info(options.json)
    elif options.command == "explain":
        return _print_explanation(options)
    elif options.command == "check":
        from voxpool import check

        return check.main()
    else:
        parser.print_help(sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m voxpool", description="Max-pooling for 3-D data in PyTorch.")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--cmake-prefix-path", action="store_true", help="print the entry for CMAKE_PREFIX_PATH")
    where.add_argument("--include-path", action="store_true", help="print the directory of the C++ headers")
    commands = parser.add_subparsers(dest="command", metavar="command")

    info = commands.add_parser("info", help="print what this copy of voxpool is")
    info.add_argument("--json", action="store_true", help="as JSON")

    commands.add_parser("pool", help="pool a volume in a file, larger than memory (pool --help)", add_help=False)
    commands.add_parser("demo", help="pool a brain scan and train a small network (demo --help)", add_help=False)
    commands.add_parser("bench", help="measure against a copy and other libraries (bench --help)", add_help=False)
    commands.add_parser("check", help="compare with torch and check gradients on this machine, under a minute")

    explain = commands.add_parser("explain", help="say which kernel would run, and why no better one")
    explain.add_argument("size", type=int, nargs="+", metavar="SIZE", help="input size: N C D H W, or C D H W")
    explain.add_argument("--kernel-size", "-k", type=int, nargs="+", required=True, help="one int or three")
    explain.add_argument("--stride", "-s", type=int, nargs="+", default=None, help="default: the kernel size")
    explain.add_argument("--padding", "-p", nargs="+", default=["0"], help="one int, three, 'same' or 'valid'")
    explain.add_argument("--dilation", "-d", type=int, nargs="+", default=[1])
    explain.add_argument("--ceil-mode", action="store_true")
    explain.add_argument("--return-indices", action="store_true")
    explain.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="no GPU is needed to ask for cuda")
    explain.add_argument("--requires-grad", action="store_true", help="explain training: taps and backward")
    explain.add_argument("--channels-last", action="store_true", help="torch.channels_last_3d instead of contiguous")
    explain.add_argument("--dtype", default="float32", help="name of a torch dtype (default: float32)")
    return parser


def padding_of(words: list[str]) -> list[int] | str:
    """What --padding says: numbers or a word. Raises ValueError."""
    if words in (["same"], ["valid"]):
        return words[0]
    try:
        return [int(word) for word in words]
    except ValueError:
        raise ValueError(f"--padding takes one int, three, 'same' or 'valid', but got {' '.join(words)!r}") from None


def positive(text: str) -> int:
    """A count above zero, for argparse's `type`."""
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def refuse(command: str, reason: str | BaseException, status: int = 2) -> int:
    """Says in one line why a command ends, and returns its exit status."""
    lines = str(reason).splitlines() or [type(reason).__name__]
    print(f"python -m voxpool {command}: {lines[0]}", file=sys.stderr)
    return status


def _print_info(as_json: bool) -> None:
    facts = voxpool.info()
    if as_json:
        print(json.dumps(facts, indent=2))
        return
    width = max(map(len, facts))
    for name, value in facts.items():
        text = ", ".join(map(str, value)) or "none" if isinstance(value, (list, tuple)) else value
        print(f"{name:<{width}}  {text}")


def _print_explanation(options: argparse.Namespace) -> int:
    try:
        dtype = getattr(torch, options.dtype, None)
        if not isinstance(dtype, torch.dtype):
            raise ValueError(f"torch has no dtype {options.dtype!r}")
        padding = padding_of(options.padding)
        # A meta tensor has sizes and strides but no memory, so any size can be asked about.
        tensor = torch.empty(options.size, dtype=dtype, device="meta")
        if options.channels_last:
            batched = tensor if tensor.dim() == 5 else tensor.unsqueeze(0)
            tensor = batched.contiguous(memory_format=torch.channels_last_3d)
            tensor = tensor if len(options.size) == 5 else tensor.squeeze(0)
        print(
            voxpool.explain(
                tensor,
                options.kernel_size,
                options.stride,
                padding,
                options.dilation,
                options.ceil_mode,
                options.return_indices,
                options.requires_grad,
                options.device,
            )
        )
    except (RuntimeError, TypeError, ValueError) as error:
        return refuse("explain", error)
    return 0
