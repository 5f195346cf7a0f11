"""Keras-style data (N, H, W, D, C) through max-pooling and back, without a copy of the tensor."""

import torch

import voxpool

batch = torch.rand(2, 32, 32, 16, 3)  # N, H, W, D, C

# As torch reads it, (N, C, D, H, W): a view that is neither contiguous nor channels_last_3d. torch copies it first,
# voxpool pools it where it lies.
volumes = batch.permute(0, 4, 3, 1, 2)
pooled = voxpool.nn.MaxPool3d(kernel_size=2, stride=2, padding="same")(volumes)
print("torch's order ", tuple(pooled.shape))

# The three spatial axes are alike, so (N, C, H, W, D) serves as well. That view is channels_last_3d, and so is the
# result: back in Keras's order it is contiguous.
pooled = voxpool.max_pool3d(batch.permute(0, 4, 1, 2, 3), kernel_size=2).permute(0, 2, 3, 4, 1)
print("Keras's order ", tuple(pooled.shape), "contiguous" if pooled.is_contiguous() else "strided")

# Slice by slice in 2-D, and along the depth in 1-D: views again.
scan = torch.rand(16, 32, 32)  # D, H, W
print("slices        ", tuple(voxpool.max_pool2d(scan.unsqueeze(1), 2).squeeze(1).shape))
print("along depth   ", tuple(voxpool.max_pool1d(scan.view(16, -1).t(), 2).t().reshape(8, 32, 32).shape))

# Which kernel runs, and why none that stands before it does.
print(voxpool.explain(volumes, kernel_size=2))
