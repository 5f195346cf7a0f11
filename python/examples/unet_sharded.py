"""A small 3-D U-Net whose volume is too large for one machine, at least on paper: four processes hold a slab each.

python unet_sharded.py [--steps 12]: half a minute on two cores. Poolings are modules of voxpool and take the sharded
volume as it is. Convolutions, of which DTensor shards none in three dimensions, get the rows of the neighbouring slabs
from voxpool.distributed.halo_exchange and run on the slab. At the end one process trains the same network on the whole
volume: the losses are the same up to rounding, as sums over voxels are added in another order.
"""

import argparse
import tempfile

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
import torch.nn.functional as F
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Shard, distribute_tensor

import voxpool
import voxpool.distributed

PROCESSES = 4
SIZE = 32, 24, 24  # every level divides D by two: 8, 4 and 2 planes in each slab
FILTERS = 8, 16


class Conv3d(nn.Conv3d):
    """Kernel 3 and padding 1, also of a volume that is sharded along D."""

    def __init__(self, inputs, outputs):
        super().__init__(inputs, outputs, 3, padding=1)

    def forward(self, x):
        if not isinstance(x, DTensor):
            return super().forward(x)
        slab = voxpool.distributed.halo_exchange(x, {2: (1, 1)})
        return as_slab_of(x, F.conv3d(slab, self.weight, self.bias, padding=(0, 1, 1)))


class Up(nn.ConvTranspose3d):
    """Twice as large along every axis; each row makes two, so that slabs need nothing of each other."""

    def __init__(self, inputs, outputs):
        super().__init__(inputs, outputs, 2, stride=2)

    def forward(self, x):
        return as_slab_of(x, super().forward(x.to_local())) if isinstance(x, DTensor) else super().forward(x)


def as_slab_of(x, slab):
    size = *slab.shape[:2], slab.shape[2] * PROCESSES, *slab.shape[3:]
    strides = torch.empty(size, device="meta").stride()
    return DTensor.from_local(slab, x.device_mesh, x.placements, shape=torch.Size(size), stride=strides)


def convolutions(inputs, outputs):
    return nn.Sequential(Conv3d(inputs, outputs), nn.ReLU(), Conv3d(outputs, outputs), nn.ReLU())


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        few, many = FILTERS
        self.pool = voxpool.nn.MaxPool3d(3, stride=2, padding=1)
        self.down, self.middle, self.below = convolutions(1, few), convolutions(few, many), convolutions(many, many)
        self.up, self.up_more = Up(many, many), Up(many, few)
        self.merge, self.merge_more = convolutions(2 * many, many), convolutions(2 * few, few)
        self.head = Conv3d(few, 2)

    def forward(self, x):
        """(N, 1, D, H, W) to the scores of two classes, (N, 2, D, H, W)."""
        first = self.down(x)
        second = self.middle(self.pool(first))
        third = self.below(self.pool(second))
        x = self.merge(torch.cat([self.up(third), second], dim=1))
        return self.head(self.merge_more(torch.cat([self.up_more(x), first], dim=1)))


def scan():
    """Balls in noise, (1, 1, D, H, W), and which voxels are theirs, (1, D, H, W)."""
    grid = torch.stack(torch.meshgrid(*map(torch.arange, SIZE), indexing="ij"))
    inside = torch.zeros(SIZE, dtype=torch.bool)
    for _ in range(12):
        middle = torch.tensor([torch.randint(n, ()) for n in SIZE]).view(3, 1, 1, 1)
        inside |= (grid - middle).square().sum(0) < torch.randint(4, 40, ())
    return (inside + 0.7 * torch.randn(SIZE))[None, None], inside.long()[None]


def train(model, x, truth, steps):
    """The losses; with a sharded volume the same in every process."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3, momentum=0.9)
    losses = []
    for _ in range(steps):
        scores = model(x)
        if isinstance(scores, DTensor):
            scores = scores.to_local()
        loss = F.cross_entropy(scores, truth, reduction="sum") / (SIZE[0] * SIZE[1] * SIZE[2])
        optimizer.zero_grad()
        loss.backward()
        if isinstance(x, DTensor):  # every slab has contributed to the gradients, and to the loss
            for total in (loss.detach(), *(parameter.grad for parameter in model.parameters())):
                dist.all_reduce(total)
        optimizer.step()
        losses.append(loss.item())
    return losses


def main(rank, steps, folder):
    torch.set_num_threads(1)
    store = dist.FileStore(f"{folder}/store", PROCESSES)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=PROCESSES)
    mesh = init_device_mesh("cpu", (PROCESSES,))
    torch.manual_seed(0)
    x, truth = scan()
    weights = UNet().state_dict()
    model = UNet()
    model.load_state_dict(weights)
    slab = distribute_tensor(x, mesh, [Shard(2)], src_data_rank=None)
    losses = train(model, slab, truth.chunk(PROCESSES, dim=1)[rank], steps)
    if rank == 0:
        alone = UNet()
        alone.load_state_dict(weights)
        expected = train(alone, x, truth, steps)
        print(voxpool.explain(slab, 3, 2, 1).splitlines()[0])
        print(f"loss      {losses[0]:.3f} to {losses[-1]:.3f} in {steps} steps")
        difference = max(abs(a - b) / b for a, b in zip(losses, expected, strict=True))
        print(f"one process differs by {difference:.0e} of the loss at most")
        assert difference < 1e-3
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=12)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        # Forked before torch has computed anything, so that it is imported once.
        mp.start_processes(main, (options.steps, folder), nprocs=PROCESSES, start_method="fork")
