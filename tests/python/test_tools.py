"""What is built around a model: weights carried over, profiles, training in several processes."""

import copy

import pytest
import torch
from torch import nn
from torch.multiprocessing import spawn
from torch.nn.parallel import DistributedDataParallel
from torch.profiler import ProfilerActivity, profile

import voxpool


def network(modules) -> nn.Sequential:
    layers = nn.Conv3d(1, 4, 3), nn.BatchNorm3d(4), nn.ReLU(), modules.MaxPool3d(3, 2, 1)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(4 * 4 * 4 * 4, 2))


@pytest.mark.parametrize(("source", "target"), [(torch.nn, voxpool.nn), (voxpool.nn, torch.nn)], ids=["ours", "torchs"])
def test_weights_carry_over(source, target, tmp_path):
    x = torch.randn(2, 1, 10, 10, 10)
    trained, fresh = network(source), network(target)
    trained(x)  # moves the statistics of the normalisation
    torch.save(trained.state_dict(), tmp_path / "weights.pt")
    assert str(fresh.load_state_dict(torch.load(tmp_path / "weights.pt"))) == "<All keys matched successfully>"
    assert torch.equal(fresh.eval()(x), trained.eval()(x))


def test_a_copy_of_a_trained_network_is_its_own():
    x = torch.randn(2, 1, 10, 10, 10)
    model = network(voxpool.nn)
    model(x).sum().backward()
    twin = copy.deepcopy(model)
    assert torch.equal(twin.eval()(x), model.eval()(x))
    twin[3].stride = 1
    assert model[3](x).shape[-1] == 5


@pytest.mark.filterwarnings("ignore:.*Profiler clears events:UserWarning")
def test_profiles_name_the_operators():
    x = torch.randn(1, 1, 8, 8, 8, requires_grad=True)
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        voxpool.nn.MaxPool3d(2)(x).sum().backward()
        voxpool.max_pool2d(x.detach()[0], 2, return_indices=True)
    seen = {event.key for event in profiler.key_averages()}
    assert {"voxpool::max_pool3d", "voxpool::_max_pool3d_backward", "voxpool::max_pool2d_with_indices"} <= seen


def train_one_step(rank: int, world: int, folder: str) -> None:
    """One step on this process's share of the volumes; the first process writes what the gradients came to."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=world)
    torch.manual_seed(0)
    model, x = network(voxpool.nn), torch.randn(4, 1, 10, 10, 10)
    parallel = DistributedDataParallel(model.eval())
    parallel(x.tensor_split(world)[rank]).square().mean().backward()
    if rank == 0:
        torch.save([parameter.grad for parameter in parallel.parameters()], f"{folder}/gradients.pt")
    torch.distributed.destroy_process_group()


def test_distributed_data_parallel(tmp_path, monkeypatch):
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    spawn(train_one_step, (2, str(tmp_path)), nprocs=2)
    torch.manual_seed(0)
    model, x = network(torch.nn).eval(), torch.randn(4, 1, 10, 10, 10)
    model(x).square().mean().backward()
    for shared, alone in zip(torch.load(tmp_path / "gradients.pt"), model.parameters(), strict=True):
        torch.testing.assert_close(shared, alone.grad)
