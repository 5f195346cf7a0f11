"""A little of everything, compared with torch: run in processes that lack something, as `python -P tour.py`."""

import torch
import torch.nn.functional as F

import voxpool


def main() -> None:
    x = torch.arange(2 * 3 * 6 * 8 * 10.0).sin().view(2, 3, 6, 8, 10)
    assert voxpool.output_size(x.shape[2:], 3, 2, 1) == (3, 4, 5)
    results = []
    for pool in (voxpool.max_pool3d, F.max_pool3d):
        leaf = x.clone().requires_grad_()
        values, indices = pool(leaf, 3, 2, 1, return_indices=True)
        values.square().sum().backward()
        results.append((values.detach(), indices, leaf.grad))
    assert all(map(torch.equal, *results))

    values, indices = voxpool.max_pool3d(x, 2, return_indices=True)
    unpooled = voxpool.nn.MaxUnpool3d(2)(values, indices)
    assert torch.equal(unpooled, F.max_unpool3d(values, indices, 2))
    model = torch.nn.Sequential(torch.nn.MaxPool3d(2), torch.nn.ReLU())
    converted = voxpool.convert_max_pool(torch.nn.Sequential(*model), fuse_relu=True)
    assert torch.equal(converted(x), model(x))
    assert torch.equal(torch.jit.script(voxpool.nn.MaxPool3d(2))(x), values)
    with voxpool.enabled():
        assert torch.equal(F.max_pool3d(x, 2), values)

    assert voxpool.info()["torch_running"] == torch.__version__
    assert "runs" in voxpool.explain(x, 2)


if __name__ == "__main__":
    main()
    print("done")
