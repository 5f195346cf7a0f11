"""convert_max_pool: a model's max-pooling modules replaced by voxpool's."""

import copy
import itertools
import logging
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from voxpool.nn import MaxPool1d, MaxPool2d, MaxPool3d, MaxUnpool1d, MaxUnpool2d, MaxUnpool3d
from voxpool.nn.modules import _MaxPool

__all__ = ["convert_max_pool"]

_log = logging.getLogger(__name__)
_COUNTERPARTS: dict[type, type[nn.Module]] = {
    nn.MaxPool1d: MaxPool1d,
    nn.MaxPool2d: MaxPool2d,
    nn.MaxPool3d: MaxPool3d,
    nn.MaxUnpool1d: MaxUnpool1d,
    nn.MaxUnpool2d: MaxUnpool2d,
    nn.MaxUnpool3d: MaxUnpool3d,
}
_OURS = (_MaxPool, MaxUnpool1d, MaxUnpool2d, MaxUnpool3d)
_HOOKS = (
    *("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks"),
    *("_full_backward_hooks", "_is_full_backward_hook"),
)


def convert_max_pool(module: nn.Module, fuse_relu: bool = False) -> nn.Module:
    """Replaces torch.nn's max-pooling and max-unpooling modules, at any depth, by voxpool's.

    Outputs, gradients, names, hooks, training flags and the state_dict stay as they are. A module that is used in two
    places is replaced by one.

    Args:
        module: a model, changed in place; or a max-pooling module itself.
        fuse_relu: also let the max-pooling modules of every nn.Sequential do the work of an nn.ReLU directly before or
            after them; an nn.Identity takes its place, so that positions and names stay. Values and gradients do not
            change, except the sign of a zero, but whoever looks at the tensor between the two sees another one.

    Returns: module, or the module that replaces it.

    What is left alone is told to the logger ``voxpool.conversion`` as a warning, with the reason: subclasses of torch's
    modules, modules of a torch.jit.ScriptModule, and with fuse_relu a ReLU next to a pooling that cannot take it over
    (hooks on either; return_indices; an in-place ReLU that changes the tensor of the Sequential's caller; a ReLU before
    windows that padding and dilation together may leave without any element, whose maximum is -inf).

    Raises: TypeError if it is no module.
    """
    if not isinstance(module, nn.Module):
        raise TypeError(f"convert_max_pool(): argument 'module' must be a torch.nn.Module, not {type(module).__name__}")
    replacements: dict[nn.Module, nn.Module] = {}
    result = _replacement(module, "the module itself", replacements)
    for path, parent, name, child in list(_children(result)):
        replacement = _replacement(child, path, replacements)
        if replacement is not child:
            parent._modules[name] = replacement
    if fuse_relu:
        for path, sequence in result.named_modules():
            if isinstance(sequence, nn.Sequential) and type(sequence).forward is nn.Sequential.forward:
                _fuse(sequence, path)
    return result


def _children(root: nn.Module) -> Iterator[tuple[str, nn.Module, str, nn.Module]]:
    """Every place that holds a module: its path, the module it is in, the name there, and what is there."""
    for prefix, parent in root.named_modules():
        for name, child in parent._modules.items():
            if child is not None:
                yield f"{prefix}.{name}" if prefix else name, parent, name, child


def _replacement(module: nn.Module, path: str, known: dict[nn.Module, nn.Module]) -> nn.Module:
    if isinstance(module, torch.jit.ScriptModule):
        if getattr(module, "original_name", "") in {torchs.__name__ for torchs in _COUNTERPARTS}:
            _log.warning("%s left alone: a ScriptModule cannot be changed", path)
        return module
    if isinstance(module, _OURS) or not isinstance(module, tuple(_COUNTERPARTS)):
        return module
    if type(module) not in _COUNTERPARTS:
        _log.warning("%s left alone: %s is a subclass with a behaviour of its own", path, type(module).__name__)
        return module
    if module not in known:
        # The state of a module is its dictionary: hooks, flags and arguments.
        counterpart = _COUNTERPARTS[type(module)]
        replacement: Any = counterpart.__new__(counterpart)
        replacement.__setstate__(module.__dict__)
        known[module] = replacement
    return known[module]


def _fuse(sequence: nn.Sequential, path: str) -> None:
    names = list(sequence._modules)
    for first, second in itertools.pairwise(names):
        pair = sequence._modules[first], sequence._modules[second]
        relu_first = type(pair[0]) is nn.ReLU
        relu, pool = pair if relu_first else pair[::-1]
        if type(relu) is not nn.ReLU or not isinstance(pool, _MaxPool) or type(pool) not in _COUNTERPARTS.values():
            continue
        reason = _obstacle(relu, pool, relu_first, at_start=first == names[0])
        if reason:
            place = ".".join(filter(None, (path, first if relu_first else second)))
            _log.warning("%s left alone: %s", place, reason)
            continue
        # A copy: the pooling may be used elsewhere as well, without a ReLU.
        fused: Any = copy.deepcopy(pool)
        fused.relu = True
        identity = nn.Identity().train(relu.training)
        sequence._modules[first], sequence._modules[second] = (identity, fused) if relu_first else (fused, identity)


def _obstacle(relu: nn.ReLU, pool: _MaxPool, relu_first: bool, at_start: bool) -> str:
    """Why the two cannot be one; empty if they can."""
    if any(getattr(module, hooks, None) for module in (relu, pool) for hooks in _HOOKS):
        return "a hook looks at the tensor between ReLU and pooling"
    if pool.return_indices:
        return "return_indices=True asks for positions, which a ReLU does not have where it is zero"
    if relu_first and relu.inplace and at_start:
        return "the in-place ReLU changes the tensor of the Sequential's caller"
    if relu_first and _may_be_empty(pool):
        return "with padding and dilation a window may have no element, and -inf after a ReLU stays -inf"
    return ""


def _may_be_empty(pool: _MaxPool) -> bool:
    """Whether a window may lie outside the input with all its taps: dilated ones can, from one padding to the other."""
    padded = pool._pads == "same" or any(pool._pads)
    return padded and any(dilation > 1 for dilation in pool._dilation)
