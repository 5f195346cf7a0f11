"""What voxpool says about itself: info, explain, output_size, capabilities, and the refusal of another torch."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import voxpool
from conftest import CAPABILITIES, HAS_CUDA
from support import CASES, OURS, channels_last
from voxpool import _build, _compatibility


def test_info():
    info = voxpool.info()
    assert info["version"] == voxpool.__version__ == _build.VERSION
    assert info["torch"].split(".")[:2] == torch.__version__.split(".")[:2] == _build.TORCH_VERSION.split(".")[:2]
    assert info["torch_running"] == torch.__version__
    assert info["cpu_capability"] in info["cpu_capabilities_available"]
    assert set(info["cpu_capabilities_available"]) <= set(info["cpu_capabilities"])
    assert info["cpu_capabilities_available"][0] == "baseline"
    assert bool(info["cuda_architectures"]) == _build.CUDA
    assert info["build_type"]
    assert info["compiler"]


def test_installed_paths():
    assert (Path(voxpool.include_path) / "voxpool" / "voxpool.h").is_file()
    assert (Path(voxpool.cmake_prefix_path) / "voxpool" / "voxpoolConfig.cmake").is_file()
    assert (Path(voxpool.__file__).parent / "py.typed").is_file()


def test_public_names_exist_and_are_documented():
    for name in voxpool.__all__:
        assert hasattr(voxpool, name)
    for thing in (voxpool.max_pool3d, voxpool.nn.MaxPool3d, voxpool.output_size, voxpool.explain, voxpool.info):
        assert len(thing.__doc__) > 100


def test_set_cpu_capability(capability):
    assert voxpool.cpu_capability() == capability
    assert capability in voxpool.explain(torch.zeros(1, 1, 4, 4, 4), 2)


def test_unknown_capability_names_the_known():
    before = voxpool.cpu_capability()
    with pytest.raises(ValueError, match=r"baseline"):
        voxpool.set_cpu_capability("sse9")
    assert voxpool.cpu_capability() == before


def in_new_process(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, **environment},
    )


@pytest.mark.parametrize("name", CAPABILITIES)
def test_capability_from_the_environment(name):
    result = in_new_process("import voxpool; print(voxpool.cpu_capability())", VOXPOOL_CPU_CAPABILITY=name)
    assert result.stdout.strip() == name


def test_wrong_capability_from_the_environment():
    code = "import torch, voxpool; voxpool.max_pool3d(torch.zeros(1, 1, 4, 4, 4), 2)"
    result = in_new_process(code, VOXPOOL_CPU_CAPABILITY="sse9")
    assert result.returncode == 1
    assert "sse9" in result.stderr
    assert "baseline" in result.stderr


def test_another_torch_is_refused_before_the_library_loads():
    with pytest.raises(ImportError) as error:
        _compatibility.check("2.9.1+cpu")
    for text in (_build.TORCH_VERSION, "2.9.1+cpu", "pip install"):
        assert text in str(error.value)
    _compatibility.check(torch.__version__)
    # The whole import, with a torch that calls itself something else.
    code = "import torch; torch.__version__ = '2.9.1'; import sys\ntry:\n import voxpool\n" + (
        "except ImportError as error:\n print(error, 'voxpool._C' in sys.modules)"
    )
    assert re.search(r"built for torch .*2\.9\.1.* False$", in_new_process(code).stdout.strip())


def test_importing_is_enough_for_the_operators():
    result = in_new_process("import torch, voxpool; print(torch.ops.voxpool.max_pool3d)")
    assert "voxpool.max_pool3d" in result.stdout


@pytest.mark.parametrize("case", CASES, ids=str)
def test_output_size(case):
    assert (
        voxpool.output_size(case.size[2:], *case.arguments)
        == OURS[case.dims](torch.zeros(case.size), *case.arguments).shape[2:]
    )


def test_output_size_of_ported_networks():
    """16^3 -> conv 3 -> 14^3 -> pool 2 -> 7^3; and 16^3 -> conv 3 -> conv 5 -> 10^3 -> pool 2 -> 5^3, not 6^3."""
    assert voxpool.output_size((14, 14, 14), 2) == (7, 7, 7)
    assert voxpool.output_size([10] * 3, 2) == (5, 5, 5)
    assert voxpool.output_size(7, 2, padding="same") == (4,)
    assert voxpool.output_size((7, 8), 3, 2, ((0, 1), (1, 1)), 1, False) == (3, 4)


def test_explain():
    x = torch.zeros(2, 3, 8, 8, 32)
    text = voxpool.explain(x, 2)
    assert "runs" in text
    assert voxpool.explain(channels_last(x), 2) != text
    training = voxpool.explain(x, 3, 2, 1, requires_grad=True)
    assert training != voxpool.explain(x, 3, 2, 1, return_indices=True)
    assert voxpool.explain(x.to("meta"), 2) == text
    assert "refused" in voxpool.explain(x.transpose(2, 4), 3, 1, 1, 2)
    with pytest.raises(RuntimeError, match="stride should not be zero"):
        voxpool.explain(x, 2, 0)
    with pytest.raises(NotImplementedError, match="not implemented for 'Bool'"):
        voxpool.explain(x.bool(), 2)


def test_the_source_tree_says_how_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "voxpool._build", None)
    with pytest.raises(ImportError, match=r"source tree.*pip install"):
        _compatibility.check()


def test_explain_for_cuda_needs_no_device():
    """The CUDA kernels are explained in a build that has them, whether or not there is a GPU."""
    x = torch.empty(2, 16, 8, 8, 32, device="meta")
    if not HAS_CUDA:
        assert "nothing: this voxpool was built without CUDA" in voxpool.explain(x, 2, device="cuda")
        return

    def kernel(tensor, *arguments, **keywords):
        text = voxpool.explain(tensor, *arguments, device="cuda", **keywords)
        return re.findall(r"^  (\w+): runs$", text, re.MULTILINE)

    last = x.contiguous(memory_format=torch.channels_last_3d)
    assert kernel(x, 2) == ["columns"]
    assert kernel(last, 3, 2, 1) == ["channels"]
    assert kernel(x[..., 1:], 3, 2, 1) == ["scalar"]
    assert kernel(x[..., 8:24], 2) == ["columns"]
    assert kernel(x[..., 9:25], 2) == ["scalar"]  # rows of whole vectors, which begin between two
    assert kernel(x, 4) == ["generic"]
    assert kernel(x.double(), 2) == ["generic"]
    assert kernel(x, 3, 2, 1, requires_grad=True) == ["columns", "columns"]
    assert kernel(last, 3, 2, 1, requires_grad=True) == ["channels", "channels"]
    assert "sm_" in voxpool.explain(x, 2, device="cuda")


def test_explain_refuses_other_devices():
    with pytest.raises(NotImplementedError, match="expected device 'cpu' or 'cuda', but got 'xpu'"):
        voxpool.explain(torch.zeros(1, 1, 4, 4, 4), 2, device="xpu")


def test_every_op_of_the_cpu_has_one_for_cuda():
    """A kernel, or in a build without CUDA one that says so."""
    ops = [name for name in torch._C._dispatch_get_all_op_names() if name.startswith("voxpool::")]
    has = torch._C._dispatch_has_kernel_for_dispatch_key
    on_cpu = [op for op in ops if has(op, "CPU")]
    assert len(on_cpu) >= 8
    assert [op for op in ops if has(op, "CUDA")] == on_cpu


if not HAS_CUDA:

    def test_cuda_tensors_are_refused():
        """By every op, and with the way out. Sent to CUDA's kernel by hand, for which no device is needed."""
        cuda = torch._C.DispatchKeySet(torch._C.DispatchKey.CUDA)
        x = torch.ones(1, 1, 4, 4, 4)
        for op in (torch.ops.voxpool.max_pool3d, torch.ops.voxpool._max_pool3d_taps):
            with pytest.raises(
                NotImplementedError, match="this voxpool was built without CUDA; build it where nvcc is"
            ):
                op.default.redispatch(cuda, x, [2])


def test_explain_states_the_call():
    x = torch.zeros(2, 3, 9, 9, 9)
    # floor((9 - 4 - 1) / 3) + 1 = 2 outputs; with ceil_mode 3.
    assert "to [2, 3, 2, 2, 2]" in voxpool.explain(x, 3, 3, 0, 2)
    assert "to [2, 3, 3, 3, 3]" in voxpool.explain(x, 3, 3, 0, 2, True)
    training = voxpool.explain(x, 2, requires_grad=True)
    assert "\nbackward:\n" in training
    assert f"kept for backward: {2 * 3 * 4**3} bytes of taps" in training
    for inference in (voxpool.explain(x, 2), voxpool.explain(x, 2, return_indices=True)):
        assert "\nbackward:\n" not in inference
        assert inference.splitlines()[-1] == "kept for backward: nothing"
    assert "indices from taps" in voxpool.explain(x, 2, return_indices=True, requires_grad=True)
    strides = channels_last(x)[0].stride()
    assert str(list(strides)) in voxpool.explain(channels_last(x)[0], 2)


def test_info_counts_torchs_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(before + 1)
    try:
        assert voxpool.info()["threads"] == before + 1
    finally:
        torch.set_num_threads(before)
