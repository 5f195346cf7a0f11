"""Max-pooling layers for Keras 3: Keras's own layers, which voxpool computes where Keras runs on torch.

Signature, defaults, config, masks, dtype policies and error messages are those of ``keras.layers.MaxPooling1D``, ``2D``
and ``3D``, whose subclasses these are. What differs:

- Nothing is copied on the way, and the result lies in memory as its input does. On torch, Keras 3.15 copies
  channels-last data to channels-first for every pooling, and pads uneven ``'same'`` paddings in a copy of their own.
- ``'same'`` pads with -inf, as TensorFlow does; Keras repeats the border where the padding is uneven. The maxima are
  the same and the gradient goes to the same elements, ties included, since the copies of an element keep its place
  among the others. Only the order in which an element of the border adds up its gradients differs. (Older Keras
  versions pad strides larger than the window by another rule.)
- ``padding`` may also be an int, one int per axis, or one (begin, end) pair per axis.
- A ``padding`` string that Keras does not know is refused by every call. Keras's torch backend takes it for ``'valid'``
  unless the input is symbolic.

On another backend than torch the layers are Keras's own, and padding by numbers is refused.

Needs the extra ``voxpool[keras]``, and ``KERAS_BACKEND=torch`` before Keras is imported. Importing this module is what
makes the layers known to ``keras.saving.load_model``.
"""

from typing import Any

import torch

import voxpool
from voxpool._arguments import paddings

try:
    import keras
except ImportError as error:
    if error.name == "keras":
        raise ImportError("voxpool.keras needs Keras 3: pip install 'voxpool[keras]'") from error
    error.add_note("Keras loads the backend named by KERAS_BACKEND when it is imported; voxpool needs 'torch' there.")
    raise
if int(keras.__version__.split(".")[0]) < 3:
    raise ImportError(f"voxpool.keras needs Keras 3, but this is {keras.__version__}: pip install 'voxpool[keras]'")

__all__ = ["MaxPooling1D", "MaxPooling2D", "MaxPooling3D"]

_register = keras.saving.register_keras_serializable(package="voxpool")
_POOL = {1: voxpool.max_pool1d, 2: voxpool.max_pool2d, 3: voxpool.max_pool3d}


class _MaxPooling:
    """What the layers do differently from the Keras layer that stands behind this class among their bases."""

    pool_size: tuple[int, ...]
    strides: tuple[int, ...]
    padding: Any
    data_format: str

    def _standardize_padding(self) -> None:
        """Brings `padding` into the form that the config keeps; ValueError if it is no padding of this window.

        A string that Keras does not know is left to be refused where Keras refuses it.
        """
        given, dims = self.padding, len(self.pool_size)
        if isinstance(given, str):
            # Keras says that case does not matter, but infers no output shape from 'SAME'.
            self.padding = given.lower() if given.lower() in ("valid", "same") else given
            return
        try:
            pads = paddings(given, dims)
            # An input as large as the window has an output, so that nothing but the arguments can be wrong.
            voxpool.output_size(self.pool_size, self.pool_size, self.strides, given)
        except (RuntimeError, TypeError) as error:
            raise ValueError(
                "Argument `padding` must be 'valid', 'same', an int, one int per axis or one (begin, end) pair per "
                f"axis, fitting pool_size={self.pool_size} and strides={self.strides}. Received: padding={given} "
                f"({error})"
            ) from error
        if keras.backend.backend() != "torch":
            raise ValueError(
                f"Argument `padding` must be either 'valid' or 'same' on Keras's backend {keras.backend.backend()!r}: "
                f"padding by numbers works on 'torch' only. Received: padding={given}"
            )
        if len(pads) == 2 * dims:
            self.padding = tuple(zip(pads[::2], pads[1::2], strict=True))
        else:
            self.padding = tuple(pads) if len(pads) > 1 else pads[0]

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """Shape of the result for an input of `input_shape`, where None stands for any size and stays None."""
        if isinstance(self.padding, str):
            return super().compute_output_shape(input_shape)  # type: ignore[misc,no-any-return]
        first = 1 if self.data_format == "channels_last" else 2
        last = first + len(self.pool_size)
        # A window's worth of elements stands in for None: it has an output with any padding.
        sizes = [k if n is None else n for n, k in zip(input_shape[first:last], self.pool_size, strict=True)]
        try:
            pooled = voxpool.output_size(sizes, self.pool_size, self.strides, self.padding)
        except RuntimeError as error:
            # Keras's sentence, as far as voxpool's padding fits in.
            raise ValueError(
                f"Computed output size would be zero or negative. Received: `inputs.shape={list(input_shape)}`, "
                f"`pool_size={self.pool_size}`, `strides={self.strides}`, `padding={self.padding}`."
            ) from error
        known = (None if n is None else o for n, o in zip(input_shape[first:last], pooled, strict=True))
        return (*input_shape[:first], *known, *input_shape[last:])

    def call(self, inputs: Any) -> Any:
        """The pooled tensor; symbolic inputs, and strides that Keras refuses on the first call, are Keras's."""
        if keras.backend.backend() != "torch" or isinstance(inputs, keras.KerasTensor) or 0 in self.strides:
            return super().call(inputs)  # type: ignore[misc]
        x = keras.ops.convert_to_tensor(inputs)
        if self.padding not in ("valid", "same") and isinstance(self.padding, str):
            self.compute_output_shape(x.shape)  # raises
        if 1 in x.shape:
            # An axis of length one may have any stride (numpy's newaxis gives it 0), by which torch would be misled
            # about the memory order. A view gives it the one it should have.
            x = x.view(x.shape)
        if self.data_format == "channels_first":
            return _pool(x, self.pool_size, self.strides, self.padding)
        return _pool(x.movedim(-1, 1), self.pool_size, self.strides, self.padding).movedim(1, -1)


def _pool(x: torch.Tensor, pool_size: tuple[int, ...], strides: tuple[int, ...], padding: Any) -> Any:
    """Pools an (N, C, spatial axes...) view of any memory order and returns its like in the same memory order."""
    if x.dim() == 3:
        return _pool_sequence(x, pool_size, strides, padding)
    pool = _POOL[len(pool_size)]
    axes, order = tuple(range(2, x.dim())), _outermost_first(x)
    # The result has one of the memory orders that torch has a name for. Any other one is such an order with the spatial
    # axes renamed, which a maximum does not mind. But of equal elements the first one gets the gradient, and which one
    # that is depends on the names.
    if order == axes or (x.requires_grad and torch.is_grad_enabled()):
        return pool(x, pool_size, strides, padding)

    def renamed(argument: Any) -> Any:
        return tuple(argument[axis - 2] for axis in order) if isinstance(argument, tuple) else argument

    y = pool(x.permute(0, 1, *order), renamed(pool_size), renamed(strides), renamed(padding))
    return y.movedim(axes, order)


def _outermost_first(x: torch.Tensor) -> tuple[int, ...]:
    """The spatial axes in memory order. Sorted by hand, as torch.compile cannot sort strides it has no numbers for."""
    order = list(range(2, x.dim()))
    for end in range(len(order) - 1, 0, -1):
        for i in range(end):
            if x.stride()[order[i]] < x.stride()[order[i + 1]]:
                order[i], order[i + 1] = order[i + 1], order[i]
    return tuple(order)


def _pool_sequence(x: torch.Tensor, pool_size: tuple[int, ...], strides: tuple[int, ...], padding: Any) -> Any:
    """Pools an (N, C, L) view as an image of one row: for images torch has a channels-last format, for these none."""
    row = padding
    if isinstance(padding, int):
        row = (0, padding)
    elif isinstance(padding, tuple):  # of one pair: a tuple of one int is kept as the int
        row = ((0, 0), *padding)
    try:
        return voxpool.max_pool2d(x.unsqueeze(2), (1, *pool_size), (1, *strides), row).squeeze(2)
    except RuntimeError:
        voxpool.max_pool1d(x, pool_size, strides, padding)  # raises too, in the words of 1-D
        raise


@_register
class MaxPooling1D(_MaxPooling, keras.layers.MaxPooling1D):
    """Maximum over windows of a sequence, a drop-in for ``keras.layers.MaxPooling1D``.

    Input (N, L, C), or (N, C, L) with ``data_format='channels_first'``; a (begin, end) padding is ``((begin, end),)``.
    Integers are pooled as well. Everything else as in :class:`MaxPooling3D`.
    """

    def __init__(
        self,
        pool_size: Any = 2,
        strides: Any = None,
        padding: Any = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(pool_size, strides, padding, data_format, name, **kwargs)
        self._standardize_padding()


@_register
class MaxPooling2D(_MaxPooling, keras.layers.MaxPooling2D):
    """Maximum over windows of an image, a drop-in for ``keras.layers.MaxPooling2D``.

    Input (N, H, W, C), or (N, C, H, W) with ``data_format='channels_first'``. Everything else as in
    :class:`MaxPooling3D`.
    """

    def __init__(
        self,
        pool_size: Any = (2, 2),
        strides: Any = None,
        padding: Any = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(pool_size, strides, padding, data_format, name, **kwargs)
        self._standardize_padding()


@_register
class MaxPooling3D(_MaxPooling, keras.layers.MaxPooling3D):
    """Maximum over windows of a volume, a drop-in for ``keras.layers.MaxPooling3D``.

    Output o of an axis is the maximum of the elements ``o * stride - pad_begin + t``, t = 0 .. pool_size - 1, that lie
    inside the input; padding is -inf and never selected.

    Args:
        pool_size: elements of the window, one int or one per axis.
        strides: step between windows, one int or one per axis; None means pool_size.
        padding: ``'valid'``: none, ``floor((n - pool_size) / stride) + 1`` outputs. ``'same'``: TensorFlow's rule
            (tf.nn, "Notes on padding"), ``ceil(n / stride)`` outputs, the extra cell at the end. Beyond Keras, on the
            torch backend: one int or one per axis, at most half of pool_size; or one (begin, end) pair per axis, each
            smaller than pool_size: ``floor((n + begin + end - pool_size) / stride) + 1`` outputs.
        data_format: ``'channels_last'``: (N, D, H, W, C), the default unless Keras is configured otherwise;
            ``'channels_first'``: (N, C, D, H, W). The order of the three spatial axes is the caller's affair.
        name, **kwargs: as for every Keras layer (dtype, trainable).

    Call with an array or tensor of rank 5 or a symbolic input. Returns a tensor of the layer's compute dtype, or the
    input's integer dtype, in the memory order of the input: contiguous for contiguous. Only a view whose spatial axes
    lie in another order, and whose gradient is wanted, gives a channels-first result, so that ties go to the first.

    Differentiable. The gradient goes to the first maximum in the order of the axes, and the results are deterministic,
    as in :func:`voxpool.max_pool3d`, which also says what is kept for the backward. Saved as ``voxpool>MaxPooling3D``.

    Raises:
        ValueError: arguments and symbolic shapes that describe no pooling, in Keras's words.
        RuntimeError: a tensor smaller than the window, in torch's words. NotImplementedError: a dtype without a kernel.
    """

    def __init__(
        self,
        pool_size: Any = (2, 2, 2),
        strides: Any = None,
        padding: Any = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(pool_size, strides, padding, data_format, name, **kwargs)
        self._standardize_padding()
