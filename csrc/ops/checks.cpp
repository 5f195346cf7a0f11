#include "ops/checks.h"

#include <ATen/EmptyTensor.h>
#include <c10/core/ScalarType.h>

#include <optional>
#include <type_traits>

namespace voxpool::ops {
namespace {

template <class Int>
c10::ArrayRef<Int> sizes_of(const at::Tensor& tensor) {
  if constexpr (std::is_same_v<Int, c10::SymInt>) {
    return tensor.sym_sizes();
  } else {
    return tensor.sizes();
  }
}

std::optional<ScalarType> kernels_name(at::ScalarType type) {
  switch (type) {
    case at::kByte:
      return ScalarType::u8;
    case at::kChar:
      return ScalarType::i8;
    case at::kShort:
      return ScalarType::i16;
    case at::kInt:
      return ScalarType::i32;
    case at::kLong:
      return ScalarType::i64;
    case at::kHalf:
      return ScalarType::f16;
    case at::kBFloat16:
      return ScalarType::bf16;
    case at::kFloat:
      return ScalarType::f32;
    case at::kDouble:
      return ScalarType::f64;
    default:
      return {};
  }
}

void check_gradient_dtype(const at::Tensor& grad_output) {
  const at::ScalarType type = grad_output.scalar_type();
  const bool has_kernel = type == at::kFloat || type == at::kDouble || type == at::kHalf || type == at::kBFloat16;
  TORCH_CHECK(has_kernel, "expected dtype Float, Double, Half or BFloat16 for `gradOutput` but got dtype ", type);
}

void check_tap_dtype(const at::Tensor& taps, TapType type, const char* op) {
  TORCH_CHECK(taps.scalar_type() == torch_type(type), op, ": expected dtype ", torch_type(type),
              " for `taps` of this window but got dtype ", taps.scalar_type());
}

void check_same_device(const at::Tensor& tensor, const char* name, const at::Tensor& taps, const char* op) {
  TORCH_CHECK(tensor.device() == taps.device(), op, ": expected ", name, " and taps on one device, but got ",
              tensor.device(), " and ", taps.device());
}

template <class Int>
void check_shape(const at::Tensor& tensor, const char* name, c10::ArrayRef<Int> input, c10::ArrayRef<Int> expected,
                 const char* op) {
  TORCH_CHECK(sizes_of<Int>(tensor) == expected, op, ": expected ", name, " of shape ", expected,
              ", what pooling an input of shape ", input, " gives, but got ", sizes_of<Int>(tensor));
}

}  // namespace

ScalarType scalar_type(const at::Tensor& tensor, const char* op) {
  const std::optional<ScalarType> type = kernels_name(tensor.scalar_type());
  TORCH_CHECK_NOT_IMPLEMENTED(type, '"', op, "\" not implemented for '", tensor.scalar_type(), "'");
  return *type;
}

void check_memory(const at::Tensor& tensor, const char* name, const char* op) {
  if (tensor.numel() == 0) return;
  const c10::Storage& storage = tensor.storage();
  const size_t needed = at::detail::computeStorageNbytes(tensor.sizes(), tensor.strides(), tensor.element_size(),
                                                         tensor.storage_offset());
  TORCH_CHECK(storage.data() != nullptr && needed <= storage.nbytes(), op, ": the elements of ", name,
              " are not in memory: they need a storage of ", needed, " bytes, but it has ", storage.nbytes(),
              storage.data() == nullptr ? " and no address" : "");
}

bool has_kernel(at::ScalarType type) { return kernels_name(type).has_value(); }

at::ScalarType torch_type(TapType type) {
  switch (type) {
    case TapType::u8:
      return at::kByte;
    case TapType::i32:
      return at::kInt;
    case TapType::i64:
      return at::kLong;
  }
  return at::kByte;
}

template <class Int>
void check_backward(const at::Tensor& grad_output, const at::Tensor& taps, c10::ArrayRef<Int> input_size,
                    c10::ArrayRef<Int> output_size, TapType type) {
  constexpr const char* op = "_max_pool3d_backward";
  check_gradient_dtype(grad_output);
  check_tap_dtype(taps, type, op);
  check_same_device(grad_output, "grad_output", taps, op);
  check_shape<Int>(grad_output, "grad_output", input_size, output_size, op);
  check_shape<Int>(taps, "taps", input_size, output_size, op);
}

template <class Int>
void check_gather(const at::Tensor& input, const at::Tensor& taps, c10::ArrayRef<Int> output_size, TapType type) {
  constexpr const char* op = "_max_pool3d_gather";
  scalar_type(input, op);
  check_tap_dtype(taps, type, op);
  check_same_device(input, "input", taps, op);
  check_shape<Int>(taps, "taps", sizes_of<Int>(input), output_size, op);
}

template <class Int>
void check_indices(const at::Tensor& taps, c10::ArrayRef<Int> input_size, c10::ArrayRef<Int> output_size,
                   TapType type) {
  constexpr const char* op = "_max_pool3d_indices";
  check_tap_dtype(taps, type, op);
  check_shape<Int>(taps, "taps", input_size, output_size, op);
}

template void check_backward(const at::Tensor&, const at::Tensor&, at::IntArrayRef, at::IntArrayRef, TapType);
template void check_backward(const at::Tensor&, const at::Tensor&, c10::SymIntArrayRef, c10::SymIntArrayRef, TapType);
template void check_gather(const at::Tensor&, const at::Tensor&, at::IntArrayRef, TapType);
template void check_gather(const at::Tensor&, const at::Tensor&, c10::SymIntArrayRef, TapType);
template void check_indices(const at::Tensor&, at::IntArrayRef, at::IntArrayRef, TapType);
template void check_indices(const at::Tensor&, c10::SymIntArrayRef, c10::SymIntArrayRef, TapType);

}  // namespace voxpool::ops
