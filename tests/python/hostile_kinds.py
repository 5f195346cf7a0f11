"""Kinds of tensors: the same numbers in another guise, and things that are no plain tensor of numbers in memory."""

import ctypes
import mmap
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import return_and_correct_aliasing
from torch.utils._pytree import tree_map

FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
_libc = ctypes.CDLL(None, use_errno=True)


class Named(Tensor):
    """A subclass that does nothing."""


class Wrapper(Tensor):
    """A tensor without memory that stands for another one."""

    @staticmethod
    def __new__(cls, inner):
        return Tensor._make_wrapper_subclass(
            cls, inner.shape, inner.stride(), inner.storage_offset(), dtype=inner.dtype, device=inner.device
        )

    def __init__(self, inner):
        self.inner = inner

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        def unwrapped(value):
            return value.inner if isinstance(value, cls) else value

        result = func(*tree_map(unwrapped, args), **tree_map(unwrapped, kwargs or {}))
        wrapped = tree_map(lambda value: cls(value) if isinstance(value, Tensor) else value, result)
        return return_and_correct_aliasing(func, args, kwargs or {}, wrapped)


class Raises(Wrapper):
    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        raise ZeroDivisionError("from __torch_dispatch__")


class RaisesEarly(Tensor):
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        raise ZeroDivisionError("from __torch_function__")


class Declines(Tensor):
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        return NotImplemented


def guarded(t: Tensor, end: bool) -> Tensor:
    """The same elements, overlapping ones too, next to a page that nobody may touch, behind the last or before the
    first of them."""
    span = 1 + sum((n - 1) * stride for n, stride in zip(t.shape, t.stride(), strict=True)) if t.numel() else 0
    bytes_, page = span * t.element_size(), mmap.PAGESIZE
    inner = -(-bytes_ // page) * page
    memory = mmap.mmap(-1, inner + 2 * page)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    for guard in (address, address + page + inner):
        if _libc.mprotect(ctypes.c_void_p(guard), ctypes.c_size_t(page), 0):
            raise OSError(ctypes.get_errno(), "mprotect")
    begin = page + (inner - bytes_ if end else 0)
    storage = torch.frombuffer(memory, dtype=t.dtype, count=span, offset=begin)
    storage.copy_(t.as_strided((span,), (1,), t.storage_offset()))
    return storage.as_strided(t.shape, t.stride())


def _resized(t: Tensor, part: float) -> Tensor:
    t = t.clone()
    t.untyped_storage().resize_(int(t.untyped_storage().nbytes() * part))
    return t


def _huge_strides(t: Tensor) -> Tensor:
    """Strides of axes of length one mean nothing and may be anything."""
    return t.as_strided(t.shape, [2**40 if n == 1 else stride for n, stride in zip(t.shape, t.stride(), strict=True)])


def _inference(t: Tensor) -> Tensor:
    with torch.inference_mode():
        return t.clone()


def _read_only(t: Tensor) -> Tensor:
    # Bytes that are a constant of Python's.
    return torch.from_numpy(np.frombuffer(t.numpy().tobytes(), t.numpy().dtype)).view(t.shape)


def _gapped(t: Tensor) -> Tensor:
    wide = t.new_zeros([2 * n + 1 for n in t.shape])
    return wide[tuple(slice(1, None, 2) for _ in t.shape)].copy_(t)


def _any(_: torch.dtype) -> bool:
    return True


# The same numbers: the same result. The second is whether the kind exists for a dtype.
SAME: dict[str, tuple[Callable[[Tensor], Any], Callable[[torch.dtype], bool]]] = {
    "plain": (lambda t: t, _any),
    "parameter": (lambda t: nn.Parameter(t), lambda dtype: dtype in FLOATS),
    "buffer": (lambda t: nn.Buffer(t), _any),
    "subclass": (lambda t: t.as_subclass(Named), _any),
    "wrapper": (Wrapper, _any),
    "negated view": (lambda t: torch._neg_view(-t), lambda dtype: dtype.is_signed),
    "imaginary part": (lambda t: torch.complex(t, -t).conj().imag, lambda dtype: dtype == torch.float32),
    "real part": (lambda t: torch.complex(t, t).real, lambda dtype: dtype == torch.float32),
    "huge strides": (_huge_strides, _any),
    "inference": (_inference, _any),
    "read-only": (_read_only, _any),
    "before a guard page": (lambda t: guarded(t, end=True), _any),
    "behind a guard page": (lambda t: guarded(t, end=False), _any),
    "shared memory": (lambda t: t.clone().share_memory_(), _any),
    "lazy copy": (lambda t: torch._lazy_clone(t), _any),
    "gaps on every axis": (_gapped, _any),
    "axes reversed": (lambda t: t.mT.contiguous().mT, _any),
    "other dtype's view": (lambda t: t.view(torch.int32).view(t.dtype), lambda dtype: dtype == torch.float32),
    "through DLPack": (lambda t: torch.from_dlpack(t), _any),
}


def _nested(layout: torch.layout) -> Callable[[Tensor], Tensor]:
    return lambda t: torch.nested.nested_tensor([t[0].clone(), t[0].clone()], layout=layout)


def _sparse(layout: torch.layout) -> Callable[[Tensor], Tensor]:
    # Compressed layouts have two sparse axes, between a batch and dense ones.
    dense = {torch.sparse_csr: {}, torch.sparse_csc: {}, torch.sparse_bsr: {"blocksize": (1, 1)}}[layout]
    return lambda t: t.to_sparse(layout=layout, dense_dim=t.dim() - 2, **dense)


def _quantised(t: Tensor) -> Tensor:
    return torch.quantize_per_tensor(t.float(), 1.0, 0, torch.quint8)


def _per_channel(t: Tensor) -> Tensor:
    n = t.shape[1]
    return torch.quantize_per_channel(t.float(), torch.ones(n), torch.zeros(n), 1, torch.qint8)


# Refused by everything.
OTHER: dict[str, Callable[[Tensor], Any]] = {
    "sparse": lambda t: t.to_sparse(),
    "sparse over one axis": lambda t: t.to_sparse(1),
    "compressed rows": _sparse(torch.sparse_csr),
    "compressed columns": _sparse(torch.sparse_csc),
    "compressed blocks": _sparse(torch.sparse_bsr),
    "MKL-DNN": lambda t: t.float().to_mkldnn(),
    "quantised": _quantised,
    "quantised per channel": _per_channel,
    "nested": _nested(torch.strided),
    "jagged": _nested(torch.jagged),
    "without memory": lambda t: _resized(t, 0),
    "with half of its memory": lambda t: _resized(t, 0.5),
    "without the last byte": lambda t: _resized(t, 1 - 1e-9),
    "bool": lambda t: t.bool(),
    "complex": lambda t: t.to(torch.complex64),
    "half complex": lambda t: t.to(torch.complex32),
    "conjugate": lambda t: t.to(torch.complex128).conj(),
    "float8": lambda t: t.to(torch.float8_e4m3fn),
    "float8 e5m2": lambda t: t.to(torch.float8_e5m2),
    "float8 e8m0": lambda t: t.abs().float().to(torch.float8_e8m0fnu),
    "float4": lambda t: torch.empty(t.shape, dtype=torch.float4_e2m1fn_x2),
    "uint16": lambda t: t.to(torch.uint16),
    "uint32": lambda t: t.to(torch.uint32),
    "uint64": lambda t: t.to(torch.uint64),
    "bits": lambda t: torch.empty(t.shape, dtype=torch.bits8),
    "uint4": lambda t: torch.empty(t.shape, dtype=torch.uint4),
    "rank 0": lambda t: t.flatten()[0],
    "rank 1": lambda t: t.flatten(),
    "rank 8": lambda t: t.view(*[1] * (8 - t.dim()), *t.shape),
    "rank 64": lambda t: t.flatten()[:1].view([1] * 64),
    "no channels": lambda t: t[:, :0],
    "no columns": lambda t: t[..., :0],
    "uninitialised": lambda t: nn.UninitializedParameter(),
    "None": lambda t: None,
    "number": lambda t: 3.0,
    "list": lambda t: t.tolist(),
    "array": lambda t: t.numpy(),
    "storage": lambda t: t.untyped_storage(),
    "size": lambda t: t.shape,
    "type": lambda t: Tensor,
    "pair": lambda t: (t, t),
}

if hasattr(torch.Tensor, "refine_names"):  # which newer versions of torch than 2.11 have not
    OTHER["with names"] = lambda t: t.clone().refine_names(*"ABCDEFGH"[: t.dim()])

# Refused with an exception of their own.
RAISING: dict[str, tuple[Callable[[Tensor], Any], type[Exception]]] = {
    "raising subclass": (lambda t: t.as_subclass(RaisesEarly), ZeroDivisionError),
    "raising wrapper": (Raises, ZeroDivisionError),
    "declining subclass": (lambda t: t.as_subclass(Declines), TypeError),
}
