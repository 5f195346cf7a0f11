"""Max-pooling for 3-D data in PyTorch: torch's answers bit for bit, at the speed of memory.

Drop-in functions (:func:`max_pool3d`, :func:`max_pool2d`, :func:`max_pool1d`) and modules (:mod:`voxpool.nn`) that also
take ``'same'`` and (begin, end) paddings; :func:`max_unpool3d` and its kin go the way back. :func:`convert_max_pool`
brings them into a model, :func:`enable` puts their kernels behind torch's own operators; :func:`output_size`,
:func:`explain` and :func:`info` say what they will do. :func:`pool_volume` pools files that are larger than the memory.
Importing registers the operators as ``torch.ops.voxpool``.
"""

from voxpool import _compatibility

_compatibility.check()

# ruff: noqa: E402 - what follows loads the compiled library, which only the torch it was built for can serve.

from voxpool import _build
from voxpool import _scripting as _scripting
from voxpool import nn as nn
from voxpool.conversion import convert_max_pool
from voxpool.functional import max_pool1d, max_pool2d, max_pool3d
from voxpool.info import cmake_prefix_path, cpu_capability, include_path, info, set_cpu_capability
from voxpool.outofcore import pool_volume
from voxpool.planning import explain, output_size
from voxpool.routing import disable, enable, enabled, is_enabled
from voxpool.unpooling import max_unpool1d, max_unpool2d, max_unpool3d

__version__ = _build.VERSION

__all__ = [
    "__version__",
    "cmake_prefix_path",
    "convert_max_pool",
    "cpu_capability",
    "disable",
    "enable",
    "enabled",
    "explain",
    "include_path",
    "info",
    "is_enabled",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "max_unpool1d",
    "max_unpool2d",
    "max_unpool3d",
    "nn",
    "output_size",
    "pool_volume",
    "set_cpu_capability",
]
