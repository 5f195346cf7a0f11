"""The benchmark: what it measures, the processes it measures with, and what it makes of their answers. No test looks
at a time."""

import functools
import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import voxpool
from voxpool import bench
from voxpool.bench import cases, report, run
from voxpool.bench.cases import Case
from voxpool.bench.peers import PEERS, Peer
from voxpool.bench.prepared import Prepared
from voxpool.bench.worker import Worker, tensor

SMALL = Case("small", (1, 2, 4, 6, 8), (2, 2, 2), (2, 2, 2))
WIDE = Case("wide", (1, 1, 1, 300, 2), (1, 256, 1), (1, 1, 1), dtype="float16")


@pytest.mark.parametrize(("name", "most"), [("quick", 10), ("standard", 60), ("full", 10_000)])
def test_lists_name_every_case_once(name, most):
    listed = getattr(cases, name)()
    assert 0 < len(listed) <= most
    assert len({case.label for case in listed}) == len(listed)
    assert all(min(case.output_shape) > 0 for case in listed)


def test_the_standard_list_leaves_nothing_out():
    listed = cases.standard()
    assert {case.operation for case in listed} == set(cases.OPERATIONS)
    assert {case.dtype for case in listed} == set(cases.DTYPES)
    assert {case.layout for case in listed} == set(cases.LAYOUTS)
    assert {case.fresh for case in listed} == {True, False}
    assert {1, 3, 17, 64} <= {case.shape[1] for case in listed}
    assert max(case.bytes for case in listed) < 1.5e9


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        # 384 inputs, 2 * 2 * 3 * 4 = 48 outputs
        (SMALL, 4 * 384 + 4 * 48),
        (replace(SMALL, dtype="int8"), 384 + 48),
        (replace(SMALL, operation="indices"), 4 * 384 + 12 * 48),
        (replace(SMALL, operation="forward_taps"), 4 * 384 + 5 * 48),
        (replace(SMALL, operation="backward"), 4 * 384 + 5 * 48),
        (replace(SMALL, operation="training"), 8 * 384 + 10 * 48),
        # 600 inputs, 45 * 2 outputs, windows of 256 taps
        (replace(WIDE, operation="forward_taps"), 2 * 600 + 6 * 90),
    ],
)
def test_bytes_by_hand(case, expected):
    assert case.bytes == expected


def test_a_case_survives_json():
    for case in cases.standard():
        assert Case.from_dict(json.loads(json.dumps(case.to_dict()))) == case


def test_input_has_the_layout_and_type_of_the_case():
    x = tensor(replace(SMALL, layout="last", dtype="bfloat16"))
    assert x.dtype == torch.bfloat16
    assert x.is_contiguous(memory_format=torch.channels_last_3d)
    assert torch.equal(x, tensor(replace(SMALL, dtype="bfloat16")))


def test_the_window_in_short():
    assert cases.C3D_1.window == "k1,2,2 s1,2,2"
    assert cases.KERNELBENCH.window == "k3 s2 p1 d3"
    assert cases.SENET.window == "k3 s2 ceil"


def test_processes_answer_and_come_back_after_a_failure():
    with run.children(["voxpool", "torch"], threads=1) as (ours, theirs):
        for child in (ours, theirs):
            for case in (SMALL, replace(SMALL, operation="training")):
                answer = child.ask(case, budget=0.01, limit=60)
                assert answer["seconds"] > 0, answer
                assert answer["copy"] > 0
                assert answer["fresh_copy"] > 0
                assert answer["repeats"] >= 5
                assert answer["layout"] == "first"
        # 48 taps; the input, and 48 int64 indices.
        assert ours.ask(replace(SMALL, operation="forward_taps"), 0.01, 60)["kept"] == 48
        assert theirs.ask(replace(SMALL, operation="forward_taps"), 0.01, 60)["kept"] == 4 * 384 + 8 * 48
        assert "Bool" in ours.ask(replace(SMALL, dtype="bool"), 0.01, 60)["skip"]
        large = replace(SMALL, shape=(4, 64, 16, 64, 64))  # no answer is that quick
        assert ours.ask(large, 0.01, limit=0.0)["error"].startswith("no answer within 0 s")
        assert ours.ask(SMALL, 0.01, limit=60)["seconds"] > 0


def handmade(ours, **peers):
    results = {"voxpool": ours, **peers}
    return {
        "machine": {**run.machine(2), "processor": "a processor"},
        "peers": dict.fromkeys(results, "1.0"),
        "rows": [{"case": SMALL.to_dict(), "bytes": 1_000_000, "results": results}],
    }


RESULTS = handmade(
    {"seconds": 0.001, "copy": 0.0005, "fresh_copy": 0.002, "kept": 48, "layout": "first"},
    torch={"seconds": 0.008, "layout": "first", "kept": 1920},
    tensorflow={"seconds": 0.003, "layout": "last"},
    jax={"skip": "no indices"},
    openvino={"error": "no answer within 120 s"},
)


def test_ratios_by_hand():
    (row,) = report.rows(RESULTS)
    assert row.gigabytes_per_second == pytest.approx(1.0)
    assert row.of_copy == pytest.approx(0.5)
    assert row.of_fresh_copy == pytest.approx(2.0)
    assert row.ratio("torch") == pytest.approx(8.0)
    assert row.ratio("jax") is None
    assert row.best == "tensorflow"
    assert row.smallest_ratio_in_layout == pytest.approx(8.0)
    assert report.kept(row, "voxpool") == pytest.approx(48 / 1536)
    assert report.kept(row, "tensorflow") is None


def test_results_are_shown_and_drawn_again(tmp_path, capsys):
    path, chart = tmp_path / "results.json", tmp_path / "chart.svg"
    path.write_text(json.dumps(RESULTS))
    assert bench.main(["--from", str(path), "--chart", str(chart)]) == 0
    printed = capsys.readouterr().out
    line = next(line for line in printed.splitlines() if " small " in line)
    assert line.split()[-9:] == ["1", "1.0", "0.50", "2.00", "8.00", "3.00°", "–", "failed", "tensorflow"]
    assert "jax: no indices (cannot run 1 case)" in printed
    assert "by more than 5 % in 0, than one in the same layout in 0." in printed
    assert "openvino: no answer within 120 s (failed in 1 case)" in printed
    drawn = chart.read_text()
    assert drawn.lstrip().startswith("<?xml")


GPU = {
    "gpu": "a GPU",
    "driver": "580.1",
    "multiprocessors": 132,
    "memory_bytes": 150e9,
    "l2_bytes": 60e6,
    "cuda_architectures": ["sm_90"],
    "cuda": "13.0",
    "torch": "2.11.0",
    "voxpool": "0.1.0",
    "date": "2026-01-01",
}


def test_results_of_a_gpu_are_shown_as_such(tmp_path, capsys):
    """Without a copy into new memory, and without what only a CPU has."""
    path, chart = tmp_path / "results.json", tmp_path / "chart.svg"
    ours = {"seconds": 0.001, "copy": 0.0005, "layout": "first"}
    theirs = {"seconds": 0.003, "layout": "last"}
    path.write_text(json.dumps({**handmade(ours, **{"torch (other layout)": theirs}), "machine": GPU}))
    assert bench.main(["--from", str(path), "--chart", str(chart)]) == 0
    printed = capsys.readouterr().out
    assert "a GPU, 132 multiprocessors, 150 GB, L2 60 MB, driver 580.1" in printed
    assert "fresh" not in printed
    assert "time on the device" in printed
    line = next(line for line in printed.splitlines() if " small " in line)
    assert line.split()[-7:] == ["1", "1.0", "0.50", "3.00°", "torch", "(other", "layout)"]
    assert "a GPU, driver 580.1" in chart.read_text()


@pytest.mark.skipif(torch.cuda.is_available(), reason="would measure")
def test_the_gpu_benchmark_needs_a_gpu():
    script = Path(__file__).parents[2] / "benchmarks" / "gpu.py"
    result = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "no CUDA device" in result.stderr


def test_a_case_voxpool_fails_in_is_a_failure(tmp_path, capsys):
    path = tmp_path / "results.json"
    path.write_text(json.dumps(handmade({"error": "process ended"}, torch={"seconds": 1.0, "layout": "first"})))
    assert bench.main(["--from", str(path)]) == 1
    assert "failed" in capsys.readouterr().out


@pytest.mark.parametrize("offset", [0, 1])
def test_a_peer_that_pads_otherwise_is_compared_with_its_own_padding(offset):
    """'same' and ceil_mode have as many outputs here, and exclude each other."""
    case = replace(SMALL, shape=(1, 2, 6, 8, 10), kernel=(3, 3, 3), ceil_mode=True)

    def prepare(case, input, threads):
        values = voxpool.max_pool3d(input, 3, 2, "same") + offset
        return Prepared(lambda: values, "first", lambda result: result, padding="same")

    worker = Worker(Peer("a peer", "voxpool", ("voxpool",), prepare), threads=1)
    answer = worker.measure(case, budget=0.001, keep=False)
    assert answer.get("error") == (None if offset == 0 else "ValueError: wrong result: values differ")


def test_rounds_end_early_only_where_they_tell_nothing():
    ours = {"seconds": 1.0}
    assert not run._done([], [ours])
    assert not run._done([{"seconds": 4.0}], [ours])
    assert run._done([{"seconds": 6.0}], [ours])
    assert run._done([{"skip": "no indices"}], [ours])
    assert not run._done([{"seconds": 6.0}], [{"error": "process ended"}])


def test_own_case_ends_with_an_explanation(tmp_path, capsys):
    path = tmp_path / "results.json"
    own = ["--shape", "1,2,4,6,8", "--kernel", "1,2,2", "--layout", "last", "--dtype", "bfloat16"]
    assert bench.main([*own, "--peers", "torch", "--threads", "1", "--json", str(path)]) == 0
    printed = capsys.readouterr().out
    assert "own case" in printed
    assert ": runs" in printed[printed.index("best peer") :]
    (row,) = report.rows(json.loads(path.read_text()))
    assert row.case.kernel == row.case.stride == (1, 2, 2)
    assert row.best == "torch"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--shape", "1,2,8,8", "--kernel", "2"], "--shape takes 5 numbers"),
        (["--shape", "1,2,8,8,x", "--kernel", "2"], "--shape takes 5 numbers"),
        (["--shape", "0,2,8,8,8", "--kernel", "2"], "nothing to pool"),
        (["--shape", "1,2,8,8,8"], "--shape needs --kernel"),
        (["--kernel", "2"], "--kernel needs --shape"),
        (["--shape", "1,2,8,8,8", "--kernel", "2,2"], "--kernel takes 1 or 3 numbers"),
        (["--shape", "1,2,8,8,8", "--kernel", "9"], "Output size is too small"),
        (["--shape", "1,2,8,8,8", "--kernel", "2", "--dtype", "float99"], "float99"),
        (["--shape", "1,2,8,8,8", "--kernel", "2", "--dtype", "int8", "--operation", "training"], "no gradient"),
        (["--peers", "torch,numpy"], "unknown peer 'numpy'"),
        (["--from", "nowhere.json"], "nowhere.json"),
        (["--quick", "--chart", "chart.pdf"], ".png or .svg"),
        (["--quick", "--json", "nowhere/results.json"], "cannot be written"),
    ],
)
def test_refuses_in_one_line(arguments, message, capsys):
    assert bench.main(arguments) == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert len(error.splitlines()) == 1


def test_ctrl_c_ends_it_quietly(tmp_path):
    path = tmp_path / "results.json"
    command = [sys.executable, "-m", "voxpool", "bench", "--peers", "voxpool", "--threads", "1", "--json", str(path)]
    # Who runs the tests in the background ignores the signal, and so would a process that inherits that.
    listen = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=listen)
    while not path.exists() and process.poll() is None:  # the first case is done, others are under way
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors == ""


def test_every_peer_says_what_to_install():
    for peer in PEERS.values():
        assert peer.package
        assert peer.missing in ("", *peer.modules)
