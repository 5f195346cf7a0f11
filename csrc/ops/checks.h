#pragma once

#include <ATen/core/Tensor.h>

#include "core/scalar_type.h"
#include "core/tap_code.h"
#include "ops/arguments.h"

// Checks of tensors that the real and the fake kernels share.
namespace voxpool::ops {

// The kernels' name of a dtype; NotImplementedError naming `op` for one they do not have, as torch's kernels raise.
ScalarType scalar_type(const at::Tensor& tensor, const char* op);

// Whether scalar_type() has an answer.
bool has_kernel(at::ScalarType type);

at::ScalarType torch_type(TapType type);

// Whether all elements are in memory: a storage can be made smaller under a tensor (FSDP does so with parameters that
// are elsewhere), and that of a wrapper is a size without an address. For the real kernels, before they take an
// address.
void check_memory(const at::Tensor& tensor, const char* name, const char* op);

// The checks of the tensors of a private op, in one order: dtype, dtype of the taps, device, shapes. `output_size` is
// what pooling an input of `input_size` gives and `type` the taps of its window; a wrong shape is named beside the
// right one. `Int` is int64_t or c10::SymInt.
template <class Int>
void check_backward(const at::Tensor& grad_output, const at::Tensor& taps, c10::ArrayRef<Int> input_size,
                    c10::ArrayRef<Int> output_size, TapType type);
template <class Int>
void check_gather(const at::Tensor& input, const at::Tensor& taps, c10::ArrayRef<Int> output_size, TapType type);
template <class Int>
void check_indices(const at::Tensor& taps, c10::ArrayRef<Int> input_size, c10::ArrayRef<Int> output_size, TapType type);

}  // namespace voxpool::ops
