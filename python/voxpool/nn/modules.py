"""Max-pooling modules: torch.nn's, with voxpool's kernels and voxpool's paddings."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch._jit_internal import is_scripting
from torch.compiler import is_dynamo_compiling
from torch.overrides import has_torch_function_unary

from voxpool._arguments import Ints, Padding, flag, ints, paddings, stride_ints
from voxpool.functional import bind_pool, call_operator

# The forward methods below have no return type on purpose: TorchScript then infers one per instance, a tensor or a
# tuple, from the branch that the constant return_indices leaves.
_ARGUMENTS = frozenset({"kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices", "relu"})
_EXCLUSIVE = frozenset({"return_indices", "relu"})


class _MaxPool(torch.nn.modules.pooling._MaxPoolNd):
    """Keeps, next to the public attributes, what a call needs: the descriptor of the eager path (built by the first
    call) and the canonical int lists that TorchScript compiles. Both follow the attributes when these change."""

    relu: bool
    _dims: int
    _kernel: list[int]
    _stride: list[int]
    _dilation: list[int]
    if TYPE_CHECKING:  # an annotation that TorchScript sees would make it convert the attribute
        _run: Callable[[Tensor], Any] | None
        _pads: list[int] | str

    def __init__(
        self,
        kernel_size: Ints,
        stride: Ints | None = None,
        padding: Padding = 0,
        dilation: Ints = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
        *,
        relu: bool = False,
    ) -> None:
        super().__init__(kernel_size, stride, padding, dilation, return_indices, ceil_mode)  # type: ignore[arg-type]
        self.relu = relu

    def extra_repr(self) -> str:
        return super().extra_repr() + (", relu=True" if self.relu else "")

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _ARGUMENTS:
            # Refused before anything has changed. Written past __setattr__: modules register nothing for plain data.
            canonical = _canonical(name, value, self._dims)
            if name in _EXCLUSIVE and value and any(self.__dict__.get(other) for other in _EXCLUSIVE - {name}):
                raise ValueError("relu=True excludes return_indices=True: where the ReLU is zero there is no position")
            super().__setattr__(name, value)
            self.__dict__.update(canonical, _run=None)
        else:
            super().__setattr__(name, value)

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        state.pop("_run", None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__({"relu": False, **state})  # type: ignore[no-untyped-call]
        for name in _ARGUMENTS:
            self.__dict__.update(_canonical(name, self.__dict__[name], self._dims), _run=None)

    def _slow_forward(self, *input: Any, **kwargs: Any) -> Any:
        # What torch calls instead of forward while torch.jit.trace records, and with it torch.onnx's older exporter:
        # forward itself then need not ask.
        return _call(self, *input, **kwargs)

    def _prepare(self) -> Any:
        """The callable of the eager path."""
        run = bind_pool(
            self._dims,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            self.ceil_mode,
            self.return_indices,
            self.relu,
        )
        self.__dict__["_run"] = run
        return run


def _canonical(name: str, value: Any, dims: int) -> dict[str, Any]:
    if name == "padding":
        # A str or a list of ints: TorchScript picks the operator's overload by the type it finds here.
        return {"_pads": paddings(value, dims)}
    if name == "stride":
        return {"_stride": stride_ints(value, dims)}
    if name in ("kernel_size", "dilation"):
        return {"_kernel" if name == "kernel_size" else "_dilation": ints(value, name, dims)}
    flag(value, name, dims)
    return {}


class MaxPool3d(_MaxPool, torch.nn.MaxPool3d):
    """Maximum over windows of a volume: a torch.nn.MaxPool3d (also for isinstance), bit for bit the same result.

    Args (order of torch.nn.MaxPool3d, in which return_indices comes before ceil_mode):
        kernel_size: taps of the window, one int or one per axis (d, h, w).
        stride: step between windows, kernel_size if None.
        padding: one int, one int per axis, one (begin, end) pair per axis, ``'valid'`` or ``'same'``.
        dilation: step between the taps of a window.
        return_indices: return (output, indices) instead of the output.
        ceil_mode: round the output size up.
        relu: put the maximum through a ReLU, at no cost: the same as nn.ReLU before or after the pooling, in value and
            gradient (none where the maximum is not above zero; NaN stays NaN). The sign of a zero is not specified.
            Not with return_indices (ValueError). Keyword only.

    Shapes: (N, C, D, H, W) or (C, D, H, W) to the same with (D, H, W) replaced by :func:`voxpool.output_size`. The
    formula, dtypes, indices, gradients, memory and errors are those of :func:`voxpool.max_pool3d`.

    No parameters and no buffers. Scriptable, picklable; public attributes are kept as given, and assigning one (for
    instance ``pool.stride = 1``) takes effect at the next call; a list is read when it is assigned. A wrong type or
    form is refused by the constructor (TypeError, RuntimeError, ValueError for an unknown padding string), a wrong
    value by the first call, as in torch.
    """

    _dims = 3

    def forward(self, input: Tensor):  # type: ignore[no-untyped-def]
        """Pools `input`; see the class."""
        if not is_scripting():
            if type(input) is Tensor and not is_dynamo_compiling() and not has_torch_function_unary(input):
                return (self._run or self._prepare())(input)
            return _call(self, input)
        if self.return_indices:
            return torch.ops.voxpool.max_pool3d_with_indices(
                input, self._kernel, self._stride, self._pads, self._dilation, self.ceil_mode
            )
        if self.relu:
            return torch.ops.voxpool._max_pool3d_relu(
                input, self._kernel, self._stride, self._pads, self._dilation, self.ceil_mode
            )
        return torch.ops.voxpool.max_pool3d(
            input, self._kernel, self._stride, self._pads, self._dilation, self.ceil_mode
        )


class MaxPool2d(_MaxPool, torch.nn.MaxPool2d):
    """Maximum over windows of an image: a torch.nn.MaxPool2d, bit for bit the same result.

    Shapes: (N, C, H, W) or (C, H, W); one int for both axes or one per axis (h, w), one (begin, end) padding pair per
    axis. Everything else as in :class:`MaxPool3d`.
    """

    _dims = 2

    def forward(self, input: Tensor):  # type: ignore[no-untyped-def]
        """Pools `input`; see the class."""
        if not is_scripting():
            if type(input) is Tensor and not is_dynamo_compiling() and not has_torch_function_unary(input):
                return (self._run or self._prepare())(input)
            return _call(self, input)
        if self.return_indices:
            return torch.ops.voxpool.max_pool2d_with_indices(
                input, self._kernel, self._stride, self._pads, self._dilation, self.ceil_mode
            )
        if self.relu:
            return torch.ops.voxpool._max_pool2d_relu(
                input, self._kernel, self._stride, self._pads, self._dilation, self.ceil_mode
            )
        return torch.ops.voxpool.max_pool2d(
            input, self._kernel, self._stride, self._pads, self._dilation, self.ceil_mode
        )


class MaxPool1d(_MaxPool, torch.nn.MaxPool1d):
    """Maximum over windows of a sequence: a torch.nn.MaxPool1d, bit for bit the same result, and integers too.

    Shapes: (N, C, L) or (C, L); a (begin, end) padding is written ``[(begin, end)]``. Everything else as in
    :class:`MaxPool3d`.
    """

    _dims = 1

    def forward(self, input: Tensor):  # type: ignore[no-untyped-def]
        """Pools `input`; see the class."""
        if not is_scripting():
            if type(input) is Tensor and not is_dynamo_compiling() and not has_torch_function_unary(input):
                return (self._run or self._prepare())(input)
            return _call(self, input)
        if self.return_indices:
            return torch.ops.voxpool.max_pool1d_with_indices(
                input, self._kernel, self._stride, self._pads, self._dilation, self.ceil_mode
            )
        if self.relu:
            return torch.ops.voxpool._max_pool1d_relu(
                input, self._kernel, self._stride, self._pads, self._dilation, self.ceil_mode
            )
        return torch.ops.voxpool.max_pool1d(
            input, self._kernel, self._stride, self._pads, self._dilation, self.ceil_mode
        )


def _call(module: Any, input: Any) -> Any:
    return call_operator(
        module._dims,
        input,
        module.kernel_size,
        module.stride,
        module.padding,
        module.dilation,
        module.ceil_mode,
        module.return_indices,
        module.relu,
    )
