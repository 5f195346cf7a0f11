#pragma once

#include <pybind11/pybind11.h>

#include <tuple>

#include "bindings/pool.h"

namespace voxpool::bindings {

using TensorPair = std::tuple<at::Tensor, at::Tensor>;

// A Python function of one tensor that calls `pool`. Built on CPython's own calls with one argument: pybind11 looks at
// overloads and keywords first, which takes a tenth of a call on a small tensor.
pybind11::object bind_pool(Pool<at::Tensor> pool);
pybind11::object bind_pool(Pool<TensorPair> pool);

}  // namespace voxpool::bindings
