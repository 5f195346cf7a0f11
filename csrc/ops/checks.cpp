#include "ops/checks.h"

#include <c10/core/ScalarType.h>

namespace voxpool::ops {

ScalarType scalar_type(const at::Tensor& tensor, const char* op) {
  switch (tensor.scalar_type()) {
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
      TORCH_CHECK_NOT_IMPLEMENTED(false, '"', op, "\" not implemented for '", tensor.scalar_type(), "'");
  }
}

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

void check_gradient_dtype(const at::Tensor& grad_output) {
  const at::ScalarType type = grad_output.scalar_type();
  const bool has_kernel = type == at::kFloat || type == at::kDouble || type == at::kHalf || type == at::kBFloat16;
  TORCH_CHECK(has_kernel, "expected dtype Float, Double, Half or BFloat16 for `gradOutput` but got dtype ", type);
}

void check_taps(const at::Tensor& taps, TapType type, const char* op) {
  TORCH_CHECK(taps.scalar_type() == torch_type(type), op, ": expected dtype ", torch_type(type),
              " for `taps` of this window but got dtype ", taps.scalar_type());
}

void check_same_device(const at::Tensor& tensor, const char* name, const at::Tensor& taps, const char* op) {
  TORCH_CHECK(tensor.device() == taps.device(), op, ": expected ", name, " and taps on one device, but got ",
              tensor.device(), " and ", taps.device());
}

template <class Int>
void check_output_shape(c10::ArrayRef<Int> sizes, const char* name, c10::ArrayRef<Int> input,
                        c10::ArrayRef<Int> expected, const char* op) {
  TORCH_CHECK(sizes == expected, op, ": expected ", name, " of shape ", expected, ", what pooling an input of shape ",
              input, " gives, but got ", sizes);
}

template void check_output_shape(at::IntArrayRef, const char*, at::IntArrayRef, at::IntArrayRef, const char*);
template void check_output_shape(c10::SymIntArrayRef, const char*, c10::SymIntArrayRef, c10::SymIntArrayRef,
                                 const char*);

}  // namespace voxpool::ops
