#include "ops/unpool.h"

#include "ops/checks.h"
#include "ops/dispatch.h"

namespace voxpool::ops {
namespace {

using at::Tensor;

constexpr std::array axis_words = {"", "", "two elements (height, width)", "three elements (depth, height, width)"};

void check_devices(const Tensor& a, const char* name, const Tensor& indices, const char* op) {
  TORCH_CHECK(a.device() == indices.device(), op, ": expected ", name, " and indices on one device, but got ",
              a.device(), " and ", indices.device());
}

void check_long(const Tensor& indices) {
  TORCH_CHECK(indices.scalar_type() == at::kLong,
              "elements in indices should be type int64 but got: ", indices.scalar_type());
}

}  // namespace

Tensor max_unpool3d(const Tensor& input, const Tensor& indices, c10::SymIntArrayRef output_size, bool channels_last) {
  static const auto op =
      find_op<Tensor(const Tensor&, const Tensor&, c10::SymIntArrayRef, bool)>("voxpool::_max_unpool3d");
  return op.call(input, indices, output_size, channels_last);
}

Tensor max_unpool3d_gather(const Tensor& source, const Tensor& indices) {
  static const auto op = find_op<Tensor(const Tensor&, const Tensor&)>("voxpool::_max_unpool3d_gather");
  return op.call(source, indices);
}

template <class Int>
void check_unpool(const Tensor& input, const Tensor& indices, c10::ArrayRef<Int> output_size, int spatial_dims) {
  const int64_t rank = input.dim();
  check_long(indices);
  TORCH_CHECK(output_size.size() == static_cast<size_t>(spatial_dims), "There should be exactly ",
              axis_words[spatial_dims], " in output_size, but got ", output_size.size(), " elements.");
  TORCH_CHECK(rank == spatial_dims + 1 || rank == spatial_dims + 2, "Input to max_unpooling", spatial_dims,
              "d should be a ", spatial_dims + 1, "d or ", spatial_dims + 2, "d Tensor, but got a tensor with ", rank,
              " dimensions.");
  TORCH_CHECK(input.sym_sizes() == indices.sym_sizes(),
              "Expected shape of indices to be same as that of the input tensor (", input.sym_sizes(),
              ") but got indices tensor with shape: ", indices.sym_sizes());
  for (int64_t i = 1; i < rank; ++i) {
    TORCH_CHECK(input.sym_size(i) > 0, "max_unpool", spatial_dims,
                "d(): Expected input to have non-zero size for non-batch dimensions, but got ", input.sym_sizes(),
                " with dimension ", i, " being empty.");
  }
  for (const Int& size : output_size) {
    TORCH_CHECK(size >= 0, "max_unpool", spatial_dims, "d: expected an output size of no negative length, but got ",
                output_size);
  }
  const char* const op = spatial_dims == 2 ? "max_unpool2d" : "max_unpool3d";
  check_devices(input, "input", indices, op);
  scalar_type(input, op);
}

template void check_unpool(const Tensor&, const Tensor&, at::IntArrayRef, int);
template void check_unpool(const Tensor&, const Tensor&, c10::SymIntArrayRef, int);

void check_unpool_gather(const Tensor& source, const Tensor& indices) {
  constexpr const char* op = "_max_unpool3d_gather";
  check_long(indices);
  check_rank(indices.sym_sizes(), 3);
  const auto leading = [](const Tensor& t) { return t.sym_sizes().slice(0, t.dim() - 3); };
  TORCH_CHECK(source.dim() == indices.dim() && leading(source) == leading(indices), op,
              ": expected a source with the batch and the channels of the indices, but got shapes ", source.sym_sizes(),
              " and ", indices.sym_sizes());
  check_devices(source, "source", indices, op);
  scalar_type(source, op);
}

}  // namespace voxpool::ops
