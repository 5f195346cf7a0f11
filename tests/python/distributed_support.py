"""Starts distributed_worker.py and reads what its processes found."""

import json
import os
import subprocess
import sys
from pathlib import Path

WORKER = Path(__file__).with_name("distributed_worker.py")


def launch(module, out, seconds):
    """What each process of each launch found, {launch: {rank: {check: error or None}}}, and what they printed."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    command = [sys.executable, str(WORKER), module, str(out)]
    run = subprocess.run(
        command,
        cwd=WORKER.parent,
        env=environment,
        timeout=seconds,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert run.returncode == 0, run.stdout
    found = {}
    for path in sorted(Path(out).glob("*.json")):
        name, rank, _ = path.name.rsplit(".", 2)
        found.setdefault(name, {})[int(rank)] = json.loads(path.read_text())
    return found, run.stdout


def assert_nothing_found(found, name, count, check):
    """Every one of the processes ran the check and found nothing."""
    ranks = found.get(name, {})
    assert sorted(ranks) == list(range(count)), f"only ranks {sorted(ranks)} of {count} came to an end"
    for rank, errors in ranks.items():
        assert errors[check] is None, f"rank {rank} of {count}:\n{errors[check]}"
