"""Published networks that pool volumes, with fewer channels or blocks than published, and odd sizes that show borders.

Their packages are imported when a network is built, as that takes seconds and every test process collects all files.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import nn


class Network(NamedTuple):
    build: Callable[[], nn.Module]
    size: tuple[int, ...]  # of the input


def s3d():
    """With an average over whatever is left: its own wants 7 × 7, which takes volumes of 209 × 209 and ten seconds."""
    from torchvision.models.video import s3d

    model = s3d(num_classes=3)
    model.avgpool = nn.AdaptiveAvgPool3d(1)
    return model


def mvit(**versions):
    """Attention pools by convolutions; the residual around it by maxima, where a block has a stride."""
    from torchvision.models.video.mvit import MSBlockConfig, MViT

    still, halving = [1, 1, 1], [1, 2, 2]
    blocks = [
        MSBlockConfig(heads, inputs, 16 * heads, [3, 3, 3], [3, 3, 3], stride, halving)
        for heads, inputs, stride in [(1, 16, still), (2, 16, halving), (2, 32, still), (4, 32, halving)]
    ]
    return MViT((64, 96), 8, blocks, stochastic_depth_prob=0.2, num_classes=3, **versions)


def mvit_v1():
    return mvit(residual_pool=False, residual_with_cls_embed=True, rel_pos_embed=False, proj_after_attn=False)


def mvit_v2():
    return mvit(residual_pool=True, residual_with_cls_embed=False, rel_pos_embed=True, proj_after_attn=True)


def monai(name: str, **arguments: Any) -> Callable[[], nn.Module]:
    def build():
        from monai.networks import nets

        return getattr(nets, name)(spatial_dims=3, **arguments)

    return build


NETWORKS = {
    "torchvision S3D": Network(s3d, (1, 3, 16, 67, 69)),
    "torchvision MViT v1": Network(mvit_v1, (2, 3, 8, 64, 96)),
    "torchvision MViT v2": Network(mvit_v2, (2, 3, 8, 64, 96)),
    "MONAI BasicUNet": Network(monai("BasicUNet", features=(4, 4, 8, 8, 16, 4)), (2, 1, 18, 21, 34)),
    "MONAI DenseNet": Network(
        monai("DenseNet", in_channels=1, out_channels=3, init_features=16, growth_rate=4, block_config=(2, 2, 2)),
        (2, 1, 33, 34, 35),
    ),
    "MONAI SENet": Network(
        monai("SEResNet50", in_channels=1, num_classes=3, layers=(1, 1, 1, 1), inplanes=16), (2, 1, 34, 35, 36)
    ),
    "MONAI ResNet": Network(
        monai("resnet10", n_input_channels=1, num_classes=3, widen_factor=0.25), (2, 1, 33, 34, 35)
    ),
    "MONAI AHNet": Network(
        monai("AHNet", layers=(1, 1, 1, 1), psp_block_num=1, upsample_mode="trilinear"), (2, 1, 32, 32, 32)
    ),
    "MONAI RegUNet": Network(monai("RegUNet", in_channels=2, num_channel_initial=4, depth=3), (1, 2, 16, 24, 32)),
}


def built(name: str) -> tuple[nn.Module, torch.Tensor]:
    """A network in training mode, and an input for it: the same ones every time."""
    torch.manual_seed(0)
    model = NETWORKS[name].build().train()
    return model, torch.randn(NETWORKS[name].size)
