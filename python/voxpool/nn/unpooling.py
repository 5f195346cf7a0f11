"""Max-unpooling modules: torch.nn's, with voxpool's kernels."""

import torch
from torch import Tensor

from voxpool.unpooling import max_unpool1d, max_unpool2d, max_unpool3d


class MaxUnpool3d(torch.nn.MaxUnpool3d):
    """The way back of a max-pooling with ``return_indices=True``: a torch.nn.MaxUnpool3d (also for isinstance).

    Args: kernel_size, stride (kernel_size if None), padding: those of the pooling, one int or one per axis (d, h, w).

    Shapes: (N, C, D, H, W) or (C, D, H, W), indices alike, to the same with each length n replaced by
    ``(n - 1) * stride + kernel_size - 2 * padding`` or by that of output_size. dtypes, layouts, gradients, determinism
    and errors are those of :func:`voxpool.max_unpool3d`. No parameters and no buffers; scriptable, picklable.
    """

    # Narrower than torch's, an int or a tuple, of which TorchScript makes no list.
    kernel_size: tuple[int, int, int]
    stride: tuple[int, int, int]
    padding: tuple[int, int, int]

    def forward(self, input: Tensor, indices: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Unpools `input`; see the class."""
        return max_unpool3d(input, indices, self.kernel_size, self.stride, self.padding, output_size)


class MaxUnpool2d(torch.nn.MaxUnpool2d):
    """A torch.nn.MaxUnpool2d. Shapes: (N, C, H, W) or (C, H, W). Everything else as in :class:`MaxUnpool3d`."""

    kernel_size: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]

    def forward(self, input: Tensor, indices: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Unpools `input`; see the class."""
        return max_unpool2d(input, indices, self.kernel_size, self.stride, self.padding, output_size)


class MaxUnpool1d(torch.nn.MaxUnpool1d):
    """A torch.nn.MaxUnpool1d. Shapes: (N, C, L) or (C, L). Everything else as in :class:`MaxUnpool3d`."""

    kernel_size: tuple[int]
    stride: tuple[int]
    padding: tuple[int]

    def forward(self, input: Tensor, indices: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Unpools `input`; see the class."""
        return max_unpool1d(input, indices, self.kernel_size, self.stride, self.padding, output_size)
