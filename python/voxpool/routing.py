"""torch's own max-pooling operators on voxpool's kernels: enable(), disable(), and enabled() for a while."""

import threading
from contextlib import ContextDecorator
from types import TracebackType

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch._subclasses.functional_tensor import FunctionalTensor

from voxpool import _C

_CACHE_TAG = ";voxpool.enable"
_lock = threading.Lock()


def enable() -> None:
    """Makes torch's own max-pooling run voxpool's kernels, for the whole process, until :func:`disable`.

    Applies to ``torch.nn.MaxPool{1,2,3}d``, ``torch.nn.functional.max_pool{1,2,3}d``, ``torch.max_pool{1,2,3}d``, their
    variants with indices and everything else that calls these operators: TorchScript modules, C++ code, torch::nn.

    What changes: values, indices, gradients and strides stay torch's (the README lists where torch's own are wrong),
    calls without indices keep one byte per output for the backward in place of the input and an int64 index. With
    ``return_indices=True`` only the forward is voxpool's; torch's derivative keeps input and indices as ever.
    max_pool1d also takes integers, and under CPU autocast max_pool3d keeps its input's dtype, where torch makes it
    float32: a maximum is exact in any dtype. Errors are RuntimeErrors with torch's sentences.

    What does not: tensors of other devices than the CPU, and than CUDA where the build has it; on CUDA the variants
    with indices; quantised, MKL-DNN, sparse, nested and named tensors; dtypes without a kernel, such as bool; tensor
    subclasses with ``__torch_dispatch__`` and calls under a TorchDispatchMode.
    They get torch's operators as before. Under torch.func.vmap torch takes its operator apart; the variant with
    indices, which it is made of, runs voxpool's kernel.

    A compiled function keeps the operators it was traced with: compile under the setting you want, or call
    ``torch._dynamo.reset()`` and compile again. Where it was traced to max_pool2d_with_indices or
    max_pool3d_with_indices and the compiler calls torch for them, these go by the setting when they run, with equal
    results. Turning the switch inside a compiled function breaks the graph. torch.compile's caches on disk are kept
    apart by a mark in ``torch.compiler.config.cache_key_tag``. Programs of torch.export and torch.jit.trace hold
    torch's operators and go by the setting when they run.

    Any thread may turn the switch at any time, and each call looks at it once. The first call in a process, though,
    enters kernels into torch's dispatcher, which torch does not guard against calls of the same operators in other
    threads: make that one before other threads pool. Importing voxpool does nothing of the kind.
    """
    with _lock:
        _C.enable()
        _after_a_change()


def disable() -> None:
    """Gives torch's max-pooling operators back, as they were before :func:`enable`.

    A surrounding or concurrent ``with voxpool.enabled()`` holds until it is left. Without enable() before, nothing
    happens.
    """
    with _lock:
        _C.disable()
        _after_a_change()


def is_enabled() -> bool:
    """Whether torch's max-pooling operators run voxpool's kernels now, by :func:`enable` or any :class:`enabled`."""
    return _C.is_enabled()


class enabled(ContextDecorator):  # noqa: N801 - reads as a function, as contextlib.suppress does
    """``with voxpool.enabled():`` is :func:`enable` for the duration of a block; ``@voxpool.enabled()`` of a function.

    Like enable() it holds for the whole process, in every thread, as long as any such block runs. Blocks nest, overlap
    between threads and end in any order; leaving one, by an exception too, takes away what entering it added, no more.
    """

    def __init__(self) -> None:
        self._guards: list[_C.EnabledGuard] = []

    def __enter__(self) -> None:
        with _lock:
            self._guards.append(_C.EnabledGuard())
            _after_a_change()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with _lock:
            self._guards.pop()
            _after_a_change()


def _after_a_change() -> None:
    # torch.compile keeps traced graphs on disk, under keys that do not tell how torch's operators were implemented when
    # they were traced. The tag does.
    tag = torch.compiler.config.cache_key_tag.replace(_CACHE_TAG, "")
    torch.compiler.config.cache_key_tag = tag + _CACHE_TAG * _C.is_enabled()


def _stands_for_plain(tensor: Tensor) -> bool:
    """Whether torch.compile traces with this in the place of a plain tensor.

    An exported program keeps torch's operators: it is made for other programs, which may not have voxpool.
    """
    return type(tensor) in (FunctionalTensor, FakeTensor) and not torch.compiler.is_exporting()


_C.set_stands_for_plain(_stands_for_plain)
