#pragma once

#include <ATen/core/Tensor.h>

#include "ops/arguments.h"

namespace voxpool::ops {

// An uninitialised dense CPU tensor. Large ones ask the kernel for huge pages: a fresh result is written once, and with
// 4 KiB pages the page faults take longer than the pooling (a gradient of 200 MB on two threads: 170 ms, with huge
// pages 50 ms, where transparent_hugepage is madvise).
at::Tensor empty_cpu(at::IntArrayRef sizes, at::ScalarType type, at::MemoryFormat format);

}  // namespace voxpool::ops
