"""Ways to differentiate and batch a function, as a table of (f, x) to a result; x may be on any device."""

import torch
from torch.autograd import forward_ad
from torch.func import grad, hessian, jacfwd, jacrev, jvp, vjp, vmap
from torch.utils._python_dispatch import TorchDispatchMode

# The second one overlaps its windows, so that gradients are sums.
WINDOWS = {"k2": (2,), "k3s2p1": (3, 2, 1)}
SIZES = {1: (2, 2, 9), 2: (2, 2, 5, 6), 3: (1, 2, 4, 5, 3)}
LAYOUTS = ("contiguous", "channels-last", "strided")


class CountOperators(TorchDispatchMode):
    """Counts the calls of voxpool's operators that reach a kernel."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.calls += func.namespace == "voxpool"
        return func(*args, **(kwargs or {}))


def tensor(size, layout, seed=0):
    """All values different: the derivative at a tie is a matter of convention, and tested elsewhere."""
    generator = torch.Generator().manual_seed(seed)
    count = torch.Size(size).numel()
    x = torch.randperm(count, generator=generator).to(torch.float64).view(size) / 4 - 3
    if layout == "strided":
        return torch.stack([x, x + 100], dim=-1)[..., 0]
    if layout == "channels-last":
        return x.movedim(1, -1).contiguous().movedim(-1, 1)
    return x


def values_of(pool, window):
    return lambda x: pool(x, *window)


def values_with_indices(pool, window):
    return lambda x: pool(x, *window, return_indices=True)[0]


def cubed(f):
    """Something with a second derivative: the pooling alone is piecewise linear."""
    return lambda x: (f(x) ** 3).sum()


def tangent(x):
    return tensor(x.shape, "contiguous", seed=1).to(x.device)


def forward_mode(f, x):
    with forward_ad.dual_level():
        return forward_ad.unpack_dual(f(forward_ad.make_dual(x, tangent(x)))).tangent


def forward_over_reverse(f, x):
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(x.detach().requires_grad_(), tangent(x))
        (gradient,) = torch.autograd.grad(cubed(f)(dual), dual, create_graph=True)
        return forward_ad.unpack_dual(gradient).tangent


def double_backward(f, x):
    x = x.detach().requires_grad_()
    (first,) = torch.autograd.grad(cubed(f)(x), x, create_graph=True)
    return torch.autograd.grad((first * tangent(x)).sum(), x)[0]


def batch(x):
    return torch.stack([x, -x, 2 * x + 1])


TRANSFORMS = {
    "grad": lambda f, x: grad(cubed(f))(x),
    "vjp": lambda f, x: vjp(f, x)[1](torch.ones_like(f(x)) * 2)[0],
    "jvp": lambda f, x: jvp(f, (x,), (tangent(x),))[1],
    "jacrev": lambda f, x: jacrev(f)(x),
    "jacfwd": lambda f, x: jacfwd(f)(x),
    "hessian": lambda f, x: hessian(cubed(f))(x),
    "jacfwd of jacrev": lambda f, x: jacfwd(jacrev(cubed(f)))(x),
    "jacrev of jacrev": lambda f, x: jacrev(jacrev(cubed(f)))(x),
    "vmap": lambda f, x: vmap(f)(batch(x)),
    "vmap over another axis": lambda f, x: vmap(f, in_dims=1, out_dims=2)(batch(x).movedim(0, 1)),
    "vmap of vmap": lambda f, x: vmap(vmap(f))(torch.stack([batch(x), batch(2 - x)])),
    "vmap of unbatched": lambda f, x: vmap(f)(x),
    "vmap of grad": lambda f, x: vmap(grad(cubed(f)))(batch(x)),
    "vmap of jvp": lambda f, x: vmap(lambda t: jvp(f, (x,), (t,))[1])(batch(x)),
    "vmap of vjp": lambda f, x: vmap(lambda v: vjp(f, x)[1](v)[0])(torch.stack([f(x), -f(x)])),
    "grad of vmap": lambda f, x: grad(lambda b: cubed(vmap(f))(b))(batch(x)),
    "forward AD": forward_mode,
    "forward AD over backward": forward_over_reverse,
    "double backward": double_backward,
}
