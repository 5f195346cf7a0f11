"""Who is measured: voxpool, the ways to pool in torch, and the engines of engines.py, all behind one function.

A peer gets a case and the tensor to pool, and gives back a call without arguments that does the work once. It runs the
case in its layout where it can, else in the one it has, and says which.
"""

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

import voxpool
from voxpool.bench import engines
from voxpool.bench.cases import Case
from voxpool.bench.prepared import CannotRunError, Prepared, seconds


@dataclass(frozen=True)
class Peer:
    """package: what pip installs. prepare: (case, input, threads) to a call, or CannotRunError with the reason."""

    name: str
    package: str
    modules: tuple[str, ...]
    prepare: Callable[[Case, Tensor, int], Prepared]

    @property
    def uses_openmp(self) -> bool:
        return self.package in ("voxpool", "torch")

    @property
    def missing(self) -> str:
        """The first module that is not installed; empty if none is missing."""
        return next((name for name in self.modules if importlib.util.find_spec(name) is None), "")

    def version(self) -> str:
        """Imports the peer's package, which can take seconds."""
        return str(importlib.import_module(self.modules[0]).__version__).partition("-")[
            0
        ]  # OpenVINO appends its branch


def ours(case: Case, input: Tensor, threads: int) -> Prepared:
    return _eager(voxpool.max_pool3d, case, input)


def eager(case: Case, input: Tensor, threads: int) -> Prepared:
    return _eager(F.max_pool3d, case, _taken_by_torch(input))


def compiled(case: Case, input: Tensor, threads: int) -> Prepared:
    """torch.compile in its default mode, for exactly these sizes."""
    # Every case compiles the same function: without a reset torch gives up compiling after eight of them.
    torch.compiler.reset()
    torch._functorch.config.donated_buffer = False  # which forbids to run a backward twice
    arguments, indices = case.arguments, case.operation == "indices"
    function: Any = F.max_pool3d  # whose types know no flag that is a variable

    def pool(x: Tensor, *_: object) -> Any:
        return function(x, *arguments, return_indices=indices)

    return _eager(torch.compile(pool, dynamic=False), case, _taken_by_torch(input))


def onednn(case: Case, input: Tensor, threads: int) -> Prepared:
    """oneDNN through torch's mkldnn tensors, in its blocked format (conversion not timed) if that is faster."""
    if case.dtype not in ("float32", "bfloat16"):
        raise CannotRunError(f"no {case.dtype}")
    if case.dilation != (1, 1, 1):
        raise CannotRunError("no dilation")
    if case.operation == "indices":
        raise CannotRunError("no indices")
    plain = input.contiguous().to_mkldnn()
    candidates = [_onednn_call(case, plain, "first")]
    channels = case.shape[1]
    if channels % 16 == 0:
        # Only a convolution brings a tensor into the blocked format: one that changes nothing.
        identity = torch.eye(channels, dtype=input.dtype).view(channels, channels, 1, 1, 1).to_mkldnn()
        ones = (1, 1, 1)
        blocked = torch.mkldnn_convolution(plain, identity, None, (0, 0, 0), ones, ones, 1)
        candidates.append(_onednn_call(case, blocked, "blocked"))
    return min(candidates, key=lambda prepared: seconds(prepared.call))


def _onednn_call(case: Case, input: Tensor, layout: str) -> Prepared:
    prepared = _eager(torch.mkldnn_max_pool3d, case, input)
    if prepared.values is not None:
        prepared.values = lambda result: result.to_dense()
    prepared.layout = layout
    return prepared


def _eager(pool: Callable[..., Any], case: Case, input: Tensor) -> Prepared:
    """A function with torch's arguments on a torch tensor."""
    arguments = case.arguments
    layout = "last" if input.layout == torch.strided and _is_channels_last(case, input) else "first"
    if case.operation == "forward":
        return Prepared(lambda: pool(input, *arguments), layout, lambda result: result)
    if case.operation == "indices":
        return Prepared(lambda: pool(input, *arguments, True), layout, lambda result: result[0])

    leaf = input.detach().requires_grad_()
    saved: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        if tensor.layout == torch.strided:
            saved[tensor.data_ptr()] = tensor.numel() * tensor.element_size()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        output = pool(leaf, *arguments)
    kept = sum(saved.values()) or None
    if case.operation == "forward_taps":
        return Prepared(lambda: pool(leaf, *arguments), layout, lambda result: result.detach(), kept=kept)
    gradient = torch.ones(output.shape, dtype=output.dtype, device=output.device)
    gradient = gradient.to_mkldnn() if output.is_mkldnn else gradient.contiguous(memory_format=_format(output))
    if case.operation == "training":
        return Prepared(lambda: torch.autograd.grad(pool(leaf, *arguments), leaf, gradient), layout, kept=kept)
    output = pool(leaf, *arguments)  # a graph that saves its tensors without the hooks
    return Prepared(lambda: torch.autograd.grad(output, leaf, gradient, retain_graph=True), layout, kept=kept)


def _is_channels_last(case: Case, input: Tensor) -> bool:
    # With one channel both layouts are the same memory, and the tensor counts as what the case calls it.
    return case.layout == "last" and input.is_contiguous(memory_format=torch.channels_last_3d)


def _format(output: Tensor) -> torch.memory_format:
    last = output.is_contiguous(memory_format=torch.channels_last_3d) and not output.is_contiguous()
    return torch.channels_last_3d if last else torch.contiguous_format


def _taken_by_torch(input: Tensor) -> Tensor:
    """torch's channels-last kernels refuse 8-bit integers; those run in the layout torch has."""
    return input.contiguous() if input.dtype in (torch.int8, torch.uint8) else input


PEERS = {
    peer.name: peer
    for peer in (
        Peer("voxpool", "voxpool", ("voxpool",), ours),
        Peer("torch", "torch", ("torch",), eager),
        Peer("compile", "torch", ("torch",), compiled),
        Peer("onednn", "torch", ("torch",), onednn),
        Peer("onnxruntime", "onnxruntime", ("onnxruntime", "onnx"), engines.onnxruntime),
        Peer("openvino", "openvino", ("openvino",), engines.openvino),
        Peer("tensorflow", "tensorflow", ("tensorflow",), engines.tensorflow),
        Peer("jax", "jax", ("jax",), engines.jax),
    )
}
