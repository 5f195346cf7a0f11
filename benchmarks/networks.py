"""Published networks on the CPU, inference and training, with torch's max-pooling and with voxpool.enable().

python benchmarks/networks.py --json out.json --chart out.svg [--threads N] [--repeats N] [--only NAME,NAME]
"""

import argparse
import importlib.metadata
import importlib.util
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

import network_cases
import network_timing
from network_cases import Network

REPEATS = 5


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 0, 1 if a network could not be measured, 2 for arguments that make no sense."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the results, after every network")
    parser.add_argument("--chart", type=Path, metavar="PATH", help="draw them, as .png or .svg")
    parser.add_argument("--from", type=Path, metavar="PATH", dest="results", help="show these results, measure nothing")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="default: %(default)s")
    parser.add_argument("--repeats", type=int, default=REPEATS, help="of each call, default: %(default)s")
    parser.add_argument("--only", metavar="NAME,NAME", help="networks: " + ", ".join(_names()))
    options = parser.parse_args(arguments)
    chosen = options.only.split(",") if options.only else _names()
    networks = [network for network in network_cases.NETWORKS if network.name in chosen]
    refusal = _refusal(chosen, [] if options.results else networks)
    if refusal:
        print(f"benchmarks/networks.py: {refusal}", file=sys.stderr)
        return 2

    import network_report

    if options.results:
        results = json.loads(options.results.read_text())
    else:
        results = measure(networks, options.threads, options.repeats, options.json)
    network_report.show(results)
    if options.chart:
        network_report.draw(options.chart, results)
    return 1 if any("error" in row for row in results["rows"]) else 0


def _names() -> list[str]:
    return [network.name for network in network_cases.NETWORKS]


def _refusal(chosen: Sequence[str], networks: Sequence[Network]) -> str:
    unknown = [name for name in chosen if name not in _names()]
    if unknown:
        return f"unknown network {unknown[0]!r}: choose from {', '.join(_names())}"
    needed = ["rich", "matplotlib", *dict.fromkeys(network.package for network in networks)]
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    return f"missing {', '.join(missing)}: pip install 'voxpool[models]'" if missing else ""


def measure(networks: Sequence[Network], threads: int, repeats: int, json_path: Path | None) -> dict[str, Any]:
    """One row for each network and kind of work; a network that fails gets one with the reason."""
    from voxpool.bench import run

    torch.set_num_threads(threads)
    packages = {
        name: importlib.metadata.version(name) for name in ("torch", *dict.fromkeys(n.package for n in networks))
    }
    rows: list[dict[str, Any]] = []
    results = {"machine": run.machine(threads), "packages": packages, "repeats": repeats, "rows": rows}
    start = time.monotonic()
    for number, network in enumerate(networks):
        print(f"{time.monotonic() - start:4.0f} s  {number + 1} of {len(networks)}  {network.name}", flush=True)
        described = {"network": network.name, "package": network.package, "shape": network.shape}
        try:
            rows += [{**described, **row} for row in _rows(network, repeats)]
        except Exception as error:  # whatever a network raises belongs into the table
            rows.append({**described, "error": f"{type(error).__name__}: {error}".splitlines()[0][:300]})
        if json_path:
            json_path.write_text(json.dumps(results, indent=1) + "\n")
    return results


def _rows(network: Network, repeats: int) -> list[dict[str, Any]]:
    torch.manual_seed(0)
    model, x = network.build(), torch.randn(network.shape)
    network_timing.check(model, x)
    return [
        {"work": name, "results": network_timing.measure(prepare(model, x), repeats)}
        for name, prepare in network_timing.WORKS.items()
    ]


if __name__ == "__main__":
    sys.exit(main())
