"""World 4: the 2-D and 1-D modules with every argument, on numbers small enough to follow by hand."""

import pytest
import torch
from torch import nn

import voxpool

IMAGE = torch.tensor([[1.0, 3.0, 2.0, 1.0], [4.0, 2.0, 0.0, 5.0], [7.0, 1.0, 3.0, 2.0], [0.0, 6.0, 8.0, 4.0]])[
    None, None
]
SEQUENCE = torch.tensor([[[3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0, 5.0]]])

BY_HAND_2D = {
    # The four quarters.
    "kernel 2 stride 2": ({"kernel_size": 2, "stride": 2}, [[4, 5], [7, 8]]),
    # Rows and columns (0), (1, 2), (3): the padding makes the outer windows smaller.
    "padding": ({"kernel_size": 2, "padding": 1}, [[1, 3, 1], [7, 3, 5], [0, 8, 4]]),
    # Rows and columns (0, 2) and (1, 3).
    "dilation": ({"kernel_size": 2, "stride": 1, "dilation": 2}, [[7, 3], [8, 6]]),
    # Rows and columns 0..2; a second window does not fit,
    "floor": ({"kernel_size": 3, "stride": 2}, [[7]]),
    # but with ceil_mode it is cut to (2, 3).
    "ceil": ({"kernel_size": 3, "stride": 2, "ceil_mode": True}, [[7, 5], [8, 8]]),
    # The cell that 'same' adds lies at the end: rows and columns 0..2, then (2, 3).
    "same": ({"kernel_size": 3, "stride": 2, "padding": "same"}, [[7, 5], [8, 8]]),
    # A pair per axis: nothing above, one row below; one column left, nothing right. Rows (0..2), (2, 3),
    # columns (0, 1), (1, 2, 3).
    "pairs": (
        {"kernel_size": 3, "stride": 2, "padding": [(0, 1), (1, 0)]},
        [[7, 5], [7, 8]],
    ),
    # Rows (0, 1), (1, 2, 3), (3), columns (0, 2), (1, 3).
    "all together": (
        {"kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 0), "dilation": (1, 2), "ceil_mode": True},
        [[4, 5], [8, 6], [8, 6]],
    ),
}


def position(value):
    """Where a value of IMAGE, all of whose maxima are unique, lies: row * 4 + column."""
    return IMAGE.flatten().tolist().index(value)


@pytest.mark.parametrize(("arguments", "expected"), BY_HAND_2D.values(), ids=BY_HAND_2D)
@pytest.mark.parametrize("channels_last", [False, True])
def test_image_by_hand(arguments, expected, channels_last):
    image = IMAGE.expand(2, 3, 4, 4).contiguous(
        memory_format=torch.channels_last if channels_last else torch.contiguous_format
    )
    y = voxpool.nn.MaxPool2d(**arguments)(image)
    assert all(plane.tolist() == expected for plane in y.flatten(0, 1))
    assert y.is_contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)
    # An image without a batch.
    assert voxpool.nn.MaxPool2d(**arguments)(IMAGE[0])[0].tolist() == expected


@pytest.mark.parametrize("name", ["kernel 2 stride 2", "dilation", "ceil"])
def test_indices_by_hand(name):
    arguments, expected = BY_HAND_2D[name]
    _, indices = voxpool.nn.MaxPool2d(**arguments, return_indices=True)(IMAGE)
    assert indices[0, 0].tolist() == [[position(value) for value in row] for row in expected]


def test_indices_with_all_arguments():
    _, indices = voxpool.nn.MaxPool2d(**BY_HAND_2D["all together"][0], return_indices=True)(IMAGE)
    # 4 at (1, 0), 5 at (1, 3), 8 at (3, 2), 6 at (3, 1).
    assert indices[0, 0].tolist() == [[4, 7], [14, 13], [14, 13]]


def test_six_by_nine():
    """Rising numbers: the last element of a window is its maximum; falling ones: the first."""
    rising = torch.arange(54.0).view(1, 1, 6, 9)
    y = voxpool.nn.MaxPool2d((2, 3), (2, 3))(rising)
    # 9 * (2i + 1) + 3j + 2
    assert y[0, 0].tolist() == [[11, 14, 17], [29, 32, 35], [47, 50, 53]]
    y = voxpool.nn.MaxPool2d((2, 3), (2, 3))(-rising)
    # -(9 * 2i + 3j)
    assert y[0, 0].tolist() == [[0, -3, -6], [-18, -21, -24], [-36, -39, -42]]
    y = voxpool.nn.MaxPool2d(3, 1)(rising)
    # 6 - 3 + 1 rows, 9 - 3 + 1 columns, from element (2, 2) = 20 on.
    assert y.shape == (1, 1, 4, 7)
    assert torch.equal(y, rising[:, :, 2:, 2:])
    assert y[0, 0, 0, 0] == 20


def test_max_unpool_takes_the_indices():
    pooled, indices = voxpool.nn.MaxPool2d(2, return_indices=True)(IMAGE)
    back = nn.MaxUnpool2d(2)(pooled, indices)
    # 4 at (1, 0), 5 at (1, 3), 7 at (2, 0), 8 at (3, 2), as in IMAGE; zeros elsewhere.
    assert back[0, 0].tolist() == [[0, 0, 0, 0], [4, 0, 0, 5], [7, 0, 0, 0], [0, 0, 8, 0]]
    # An odd size is lost by pooling and given back by name.
    image = torch.arange(35.0).view(1, 1, 5, 7)
    back = nn.MaxUnpool2d(2)(*voxpool.nn.MaxPool2d(2, return_indices=True)(image), output_size=image.shape)
    expected = torch.zeros(5, 7)
    expected[1:4:2, 1:6:2] = image[0, 0, 1:4:2, 1:6:2]
    assert torch.equal(back[0, 0], expected)


BY_HAND_1D = {
    # (3, 1), (4, 1), (5, 9), (2, 6); the last 5 is left over,
    "kernel 2": ({"kernel_size": 2}, [3, 4, 9, 6], [0, 2, 5, 7]),
    # unless the window may be cut,
    "ceil": ({"kernel_size": 2, "ceil_mode": True}, [3, 4, 9, 6, 5], [0, 2, 5, 7, 8]),
    # or the sequence is made longer.
    "same": ({"kernel_size": 2, "padding": "same"}, [3, 4, 9, 6, 5], [0, 2, 5, 7, 8]),
    "one cell at the end": ({"kernel_size": 2, "padding": [(0, 1)]}, [3, 4, 9, 6, 5], [0, 2, 5, 7, 8]),
    "stride 1": ({"kernel_size": 3, "stride": 1}, [4, 4, 5, 9, 9, 9, 6], [2, 2, 4, 5, 5, 5, 7]),
    # (-, 3, 1), (4, 1, 5), (9, 2, 6)
    "padding": ({"kernel_size": 3, "padding": 1}, [3, 5, 9], [0, 4, 5]),
    # (3, 1, 2), (1, 5, 6), (4, 9, 5): every third
    "dilation": ({"kernel_size": 3, "stride": 1, "dilation": 3}, [3, 6, 9], [0, 7, 5]),
}


@pytest.mark.parametrize(("arguments", "values", "places"), BY_HAND_1D.values(), ids=BY_HAND_1D)
def test_sequence_by_hand(arguments, values, places):
    y, indices = voxpool.nn.MaxPool1d(**arguments, return_indices=True)(SEQUENCE)
    assert y.flatten().tolist() == values
    assert indices.flatten().tolist() == places
    assert voxpool.nn.MaxPool1d(**arguments)(SEQUENCE[0].long())[0].tolist() == values


def test_max_unpool_of_a_sequence():
    back = nn.MaxUnpool1d(2)(*voxpool.nn.MaxPool1d(2, return_indices=True)(SEQUENCE), output_size=SEQUENCE.shape)
    assert back.flatten().tolist() == [3, 0, 4, 0, 0, 9, 0, 6, 0]


def image_network(pool):
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), pool(2), nn.Conv2d(4, 8, 3), nn.ReLU(), pool(3, 2, 1),
        nn.Flatten(), nn.Linear(8 * 3 * 3, 3),
    )  # fmt: skip


def sequence_network(pool):
    return nn.Sequential(
        nn.Conv1d(1, 4, 5, padding=2), nn.ReLU(), pool(2), nn.Conv1d(4, 8, 3), nn.ReLU(), pool(3, 2, 1),
        nn.Flatten(), nn.Linear(8 * 3, 3),
    )  # fmt: skip


# Sizes: 16 and 14 → pool 8 and 7 → convolution 6 and 5 → pool (6 + 2 - 3) // 2 + 1 = 3 and (5 + 2 - 3) // 2 + 1 = 3.
@pytest.mark.parametrize(
    ("build", "ours", "theirs", "size"),
    [
        (image_network, voxpool.nn.MaxPool2d, nn.MaxPool2d, (6, 1, 16, 14)),
        (sequence_network, voxpool.nn.MaxPool1d, nn.MaxPool1d, (6, 1, 16)),
    ],
    ids=["images", "sequences"],
)
def test_small_network_trains_as_with_torch(build, ours, theirs, size):
    x = torch.randn(size)
    labels = torch.tensor([0, 1, 2, 0, 1, 2])

    def losses(pool):
        torch.manual_seed(1)
        net = build(pool)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
        result = []
        for _ in range(6):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(net(x), labels)
            loss.backward()
            optimizer.step()
            result.append(loss.item())
        return result

    assert losses(ours) == losses(theirs)
    assert losses(ours)[-1] < losses(ours)[0]
