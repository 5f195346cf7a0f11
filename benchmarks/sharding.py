"""What sharded pooling sends: measured on this machine, and predicted for volumes and numbers of devices it has not.

python benchmarks/sharding.py --out benchmarks/results/sharding

Counts, for 2, 4 and 8 processes on loopback, the bytes that each process hands to its process group, and beside them
what the network interface `lo` carried, and compares both with voxpool.distributed.cost. Then it asks the same model
about cubes of 512 to 2048 voxels on 8 to 512 devices. Writes sharding.json and sharding.svg.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Shard, distribute_tensor

import voxpool
from voxpool.distributed import cost, exchange

WINDOWS = {"k2 s2": (2, 2, 0), "k3 s2 p1": (3, 2, 1), "k3 s1 p1": (3, 1, 1), "k5 s1 p2": (5, 1, 2)}
MEASURED = {2: [(2, 1, 1)], 4: [(4, 1, 1), (2, 2, 1)], 8: [(8, 1, 1), (4, 2, 1), (2, 2, 2)]}
SIZE, CHANNELS = (64, 64, 64), 8
REPEATS = 5
CUBES = (512, 1024, 2048)
GRIDS = {8: (2, 2, 2), 64: (4, 4, 4), 512: (8, 8, 8)}
SLABS = (8, 64, 512)


def lo_bytes():
    """What the loopback interface has carried in this network namespace."""
    (line,) = [line for line in Path("/proc/net/dev").read_text().splitlines() if line.strip().startswith("lo:")]
    return int(line.split(":")[1].split()[0])


def process(rank, count, folder, queue):
    torch.set_num_threads(1)
    store = dist.FileStore(f"{folder}/store-{count}", count)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=count)
    handed = []
    original = exchange.all_to_all_single

    def counted(buffer, *arguments):
        handed.append(len(buffer))
        return original(buffer, *arguments)

    exchange.all_to_all_single = counted
    for grid in MEASURED[count]:
        mesh = init_device_mesh("cpu", grid)
        placements = [Shard(2), Shard(3), Shard(4)]
        x = distribute_tensor(torch.randn(1, CHANNELS, *SIZE), mesh, placements, src_data_rank=None).requires_grad_()
        for name, window in WINDOWS.items():
            model = cost(SIZE, grid, mesh.get_coordinate(), *window, planes=CHANNELS)
            gradient = torch.ones_like(voxpool.max_pool3d(x, *window).detach())
            for step in ("forward", "backward"):
                seconds, sent, carried = [], 0, []
                for _ in range(REPEATS):
                    if step == "backward":
                        output = voxpool.max_pool3d(x, *window)
                    handed.clear()
                    dist.barrier()
                    before = lo_bytes()
                    dist.barrier()  # nobody sends before everybody has read
                    begin = time.perf_counter()
                    if step == "forward":
                        output = voxpool.max_pool3d(x, *window)
                    else:
                        torch.autograd.grad(output, x, gradient)
                    seconds.append(time.perf_counter() - begin)
                    dist.barrier()
                    sent = sum(handed)
                    carried.append(lo_bytes() - before)
                traffic = getattr(model, step)
                queue.put(
                    {
                        "processes": count,
                        "grid": grid,
                        "window": name,
                        "step": step,
                        "rank": rank,
                        "sent": sent,
                        "predicted": traffic.sent,
                        "pooled": model.pooled,
                        "lo": min(carried),  # others may use the interface, too
                        "ms": 1e3 * sorted(seconds)[len(seconds) // 2],
                    }
                )
    dist.barrier()
    dist.destroy_process_group()


def measure():
    """One row for each process, grid, window and direction."""
    rows = []
    context = torch.multiprocessing.get_context("fork")
    for count, grids in MEASURED.items():
        with tempfile.TemporaryDirectory() as folder:
            queue = context.SimpleQueue()
            children = [context.Process(target=process, args=(rank, count, folder, queue)) for rank in range(count)]
            for child in children:
                child.start()
            rows += [queue.get() for _ in range(count * len(grids) * len(WINDOWS) * 2)]
            for child in children:
                child.join()
    return rows


def predict():
    """For the rank that receives most: float32, 32 channels, forward and backward, grids of blocks and of slabs."""
    rows = []
    for cube in CUBES:
        for devices in SLABS:
            for grid in {GRIDS[devices], (devices, 1, 1)}:
                for name, window in WINDOWS.items():
                    ranks = ([min(part, parts - 1) for parts in grid] for part in range(grid[0]))
                    models = [cost((cube,) * 3, grid, rank, *window, planes=32) for rank in ranks]
                    model = max(models, key=lambda model: model.forward.received)
                    rows.append(
                        {
                            "cube": cube,
                            "devices": devices,
                            "grid": grid,
                            "window": name,
                            "pooled": max(model.pooled for model in models),
                            "forward": model.forward.received,
                            "backward": max(model.backward.received for model in models),
                            "neighbours": sum(model.forward.neighbours),
                        }
                    )
    return rows


def one_row_a_line(results):
    rows = {name: "[\n" + ",\n".join(map(json.dumps, results[name])) + "\n]" for name in ("measured", "predicted")}
    head = {name: json.dumps(value) for name, value in results.items() if name not in rows}
    return "{\n" + ",\n".join(f'"{name}": {text}' for name, text in {**head, **rows}.items()) + "\n}\n"


def draw(path, results):
    from voxpool.bench.charts import VOXPOOL, page

    colours = {"k3 s2 p1": VOXPOOL, "k3 s1 p1": "#b45309", "k5 s1 p2": "#1d4ed8"}  # k2 s2 sends nothing
    with page(path, 11, 4.2) as figure:
        left, right = figure.subplots(1, 2)
        forward = [row for row in results["measured"] if row["sent"]]
        for name, colour in colours.items():
            points = [row for row in forward if row["window"] == name]
            left.plot(
                [row["predicted"] / 1024 for row in points],
                [row["sent"] / 1024 for row in points],
                "o",
                color=colour,
                markersize=4,
                label=name,
            )
        ends = [extreme(row["sent"] for row in forward) / 1024 for extreme in (min, max)]
        left.plot(ends, ends, color="#1b1f24", linewidth=0.6)
        left.set(xscale="log", yscale="log", xlabel="KiB predicted", ylabel="KiB sent by a process")
        left.set_title("2 to 8 processes, forward and backward: as predicted, to the byte", loc="left")
        left.legend(frameon=False)
        for shape, colour in (("blocks", VOXPOOL), ("slabs", "#b45309")):
            for cube in CUBES:
                rows = [
                    row
                    for row in results["predicted"]
                    if (row["window"], row["cube"]) == ("k3 s2 p1", cube)
                    and (row["grid"][1] > 1) == (shape == "blocks")
                ]
                shares = [row["forward"] / row["pooled"] for row in rows]
                right.plot([row["devices"] for row in rows], shares, "o-", color=colour, markersize=3, linewidth=0.9)
                right.annotate(f" {cube}³ in {shape}", (rows[-1]["devices"], shares[-1]), fontsize=7, color=colour)
        right.set_xlim(6, 4000)
        right.set(xscale="log", yscale="log", xlabel="devices", ylabel="bytes received / bytes pooled")
        right.set_xticks(SLABS, [str(devices) for devices in SLABS])
        right.set_title("k3 s2 p1 forward, predicted for the device that receives most", loc="left")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("sharding"))
    parser.add_argument("--from", dest="given", type=Path, help="draw these results instead of measuring")
    options = parser.parse_args()
    if options.given:
        results = json.loads(options.given.read_text())
    else:
        os.environ["GLOO_SOCKET_IFNAME"] = "lo"
        results = {"size": SIZE, "channels": CHANNELS, "measured": measure(), "predicted": predict()}
        options.out.with_suffix(".json").write_text(one_row_a_line(results))
    for row in results["measured"]:
        if row["sent"] != row["predicted"]:
            raise SystemExit(f"not as predicted: {row}")
    draw(options.out.with_suffix(".svg"), results)
    print(table(results))


def table(results):
    """The lines of the page in python/voxpool/distributed/README.md."""
    lines = ["| cube | devices | window | pooled | blocks: received | of pooled | slabs: received | of pooled |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    for cube in CUBES:
        for devices in SLABS:
            for name in ("k3 s2 p1", "k3 s1 p1"):
                pair = [
                    r for r in results["predicted"] if (r["cube"], r["devices"], r["window"]) == (cube, devices, name)
                ]
                blocks, slabs = sorted(pair, key=lambda row: row["grid"][0])
                cells = [f"{cube}³", str(devices), name, size(blocks["pooled"])]
                for row in (blocks, slabs):
                    cells += [size(row["forward"]), percent(row["forward"] / row["pooled"])]
                lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def percent(share):
    return f"{100 * share:.0f} %" if share > 0.1 else f"{100 * share:.2g} %"


def size(count):
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            return f"{count:.3g} {unit}"
        count /= 1024
    return None


if __name__ == "__main__":
    main()
