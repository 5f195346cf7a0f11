#pragma once

// Max-pooling for 1-D, 2-D and 3-D data in LibTorch programs. Including this header and linking voxpool::voxpool also
// registers the ops (torch.ops.voxpool) in the program.
#include <voxpool/functional.h>
#include <voxpool/info.h>
#include <voxpool/nn.h>
#include <voxpool/ops.h>
#include <voxpool/routing.h>
#include <voxpool/version.h>
