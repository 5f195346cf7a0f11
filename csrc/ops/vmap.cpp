#include <ATen/core/Tensor.h>
#include <ATen/functorch/BatchedTensorImpl.h>
#include <torch/library.h>

#include <algorithm>

#include "ops/operators.h"
#include "ops/unpool.h"

// Batching rules: a vmapped dimension becomes part of the batch of one call.
namespace voxpool::ops {
namespace {

using at::IntArrayRef;
using at::Tensor;
using c10::SymInt;
using c10::SymIntArrayRef;
using TensorPair = std::tuple<Tensor, Tensor>;

struct Batched {
  Tensor value;
  int64_t dim;
};

// The innermost vmap that one of the tensors takes part in, and the size of its dimension.
//
// The level is read from the tensors, not from the stack of transforms: the header of the latter needs one of torch's
// own dependencies, which the wheel does not carry. Tensors nest with the innermost level outside, so this is the
// current vmap whenever that one takes part, and otherwise the one whose turn would be next.
class Level {
 public:
  Level(std::initializer_list<Tensor> tensors) {
    for (const Tensor& tensor : tensors) {
      if (const auto* impl = at::functorch::maybeGetBatchedImpl(tensor)) level_ = std::max(level_, impl->level());
    }
    for (const Tensor& tensor : tensors) {
      if (const auto batched = unwrap(tensor)) size_ = batched->value.sym_size(batched->dim);
    }
    rank_ = tensors.begin()->dim();
  }

  // Whether any tensor is vmapped.
  explicit operator bool() const { return level_ >= 0; }

  // The tensor with the vmapped dimension folded into its batch; an unbatched tensor (C, D, H, W) gets one. A tensor
  // outside this vmap is repeated. The rank is checked here: folded, a tensor without a batch and one with a batch of
  // one look the same.
  Tensor fold(const Tensor& tensor) const {
    check_same_rank(tensor.sym_sizes());
    Tensor folded;
    if (const auto batched = unwrap(tensor)) {
      folded = batched->value.movedim(batched->dim, 0);
    } else {
      std::vector<SymInt> sizes = tensor.sym_sizes().vec();
      sizes.insert(sizes.begin(), size_);
      folded = tensor.unsqueeze(0).expand_symint(sizes);
    }
    return folded.dim() == 6 ? folded.flatten(0, 1) : folded;
  }

  // Input sizes of the folded call.
  std::vector<SymInt> fold(SymIntArrayRef input_size) const {
    check_same_rank(input_size);
    std::vector<SymInt> folded = input_size.vec();
    if (folded.size() == 5) {
      const auto batch = folded[0].maybe_as_int(), samples = size_.maybe_as_int();
      int64_t product;
      TORCH_CHECK(!batch || !samples || !__builtin_mul_overflow(*batch, *samples, &product),
                  "integer out of range: ", *samples, " samples of size ", input_size);
      folded[0] = folded[0] * size_;
    } else {
      folded.insert(folded.begin(), size_);
    }
    return folded;
  }

  // A result of the folded call as the function under vmap sees it, with `rank` dimensions.
  Tensor unfold(const Tensor& result, int64_t rank) const {
    if (rank != 5) return at::functorch::makeBatched(result, 0, level_);
    std::vector<SymInt> sizes = result.sym_sizes().vec();
    // An empty vmap leaves nothing to divide.
    sizes[0] = size_ == 0 ? sizes[0] : sizes[0] / size_;
    sizes.insert(sizes.begin(), size_);
    return at::functorch::makeBatched(result.view_symint(sizes), 0, level_);
  }
  TensorPair unfold(const TensorPair& results, int64_t rank) const {
    return {unfold(std::get<0>(results), rank), unfold(std::get<1>(results), rank)};
  }

 private:
  std::optional<Batched> unwrap(const Tensor& tensor) const {
    const auto* impl = at::functorch::maybeGetBatchedImpl(tensor);
    if (impl == nullptr || impl->level() != level_) return std::nullopt;
    return Batched{impl->value(), impl->bdim()};
  }

  void check_same_rank(SymIntArrayRef sizes) const {
    check_rank(sizes, 3);
    TORCH_CHECK(static_cast<int64_t>(sizes.size()) == rank_, "expected sizes of ", rank_,
                " dimensions, as many as the first argument has, but got ", sizes);
  }

  int64_t level_ = -1;
  int64_t rank_ = 0;  // of the first tensor
  SymInt size_;
};

// Runs below the current vmap.
template <class F>
auto below_vmap(F&& f) {
  const c10::impl::ExcludeDispatchKeyGuard guard(at::DispatchKey::FuncTorchBatched);
  return f();
}

template <auto op, bool relu = false>
auto pool_batched(const Tensor& input, IntArrayRef kernel_size, IntArrayRef stride, IntArrayRef padding,
                  IntArrayRef dilation, bool ceil_mode) {
  const Arguments arguments{kernel_size, stride, padding, dilation, ceil_mode, relu};
  return below_vmap([&] {
    const Level level{input};
    if (!level) return op(input, arguments);
    return level.unfold(op(level.fold(input), arguments), input.dim());
  });
}

Tensor max_pool3d_backward_batched(const Tensor& grad_output, const Tensor& taps, SymIntArrayRef input_size,
                                   IntArrayRef kernel_size, IntArrayRef stride, IntArrayRef padding,
                                   IntArrayRef dilation, bool ceil_mode) {
  const Arguments arguments{kernel_size, stride, padding, dilation, ceil_mode};
  return below_vmap([&] {
    const Level level{grad_output, taps};
    if (!level) return max_pool3d_backward(grad_output, taps, input_size, arguments);
    const Tensor result =
        max_pool3d_backward(level.fold(grad_output), level.fold(taps), level.fold(input_size), arguments);
    return level.unfold(result, static_cast<int64_t>(input_size.size()));
  });
}

Tensor max_pool3d_gather_batched(const Tensor& input, const Tensor& taps, IntArrayRef kernel_size, IntArrayRef stride,
                                 IntArrayRef padding, IntArrayRef dilation, bool ceil_mode) {
  const Arguments arguments{kernel_size, stride, padding, dilation, ceil_mode};
  return below_vmap([&] {
    const Level level{input, taps};
    if (!level) return max_pool3d_gather(input, taps, arguments);
    const Tensor result = max_pool3d_gather(level.fold(input), level.fold(taps), arguments);
    return level.unfold(result, input.dim());
  });
}

Tensor max_pool3d_indices_batched(const Tensor& taps, SymIntArrayRef input_size, IntArrayRef kernel_size,
                                  IntArrayRef stride, IntArrayRef padding, IntArrayRef dilation, bool ceil_mode) {
  const Arguments arguments{kernel_size, stride, padding, dilation, ceil_mode};
  return below_vmap([&] {
    const Level level{taps};
    if (!level) return max_pool3d_indices(taps, input_size, arguments);
    const Tensor result = max_pool3d_indices(level.fold(taps), level.fold(input_size), arguments);
    return level.unfold(result, static_cast<int64_t>(input_size.size()));
  });
}

Tensor max_unpool3d_batched(const Tensor& input, const Tensor& indices, SymIntArrayRef output_size,
                            bool channels_last) {
  return below_vmap([&] {
    const Level level{input, indices};
    if (!level) return max_unpool3d(input, indices, output_size, channels_last);
    return level.unfold(max_unpool3d(level.fold(input), level.fold(indices), output_size, channels_last), input.dim());
  });
}

Tensor max_unpool3d_gather_batched(const Tensor& source, const Tensor& indices) {
  return below_vmap([&] {
    const Level level{source, indices};
    if (!level) return max_unpool3d_gather(source, indices);
    return level.unfold(max_unpool3d_gather(level.fold(source), level.fold(indices)), source.dim());
  });
}

}  // namespace

TORCH_LIBRARY_IMPL(voxpool, FuncTorchBatched, m) {
  m.impl("max_pool3d", pool_batched<max_pool3d>);
  m.impl("_max_pool3d_relu", pool_batched<max_pool3d, true>);
  m.impl("max_pool3d_with_indices", pool_batched<max_pool3d_with_indices>);
  m.impl("_max_pool3d_taps", pool_batched<max_pool3d_taps>);
  m.impl("_max_pool3d_relu_taps", pool_batched<max_pool3d_taps, true>);
  m.impl("_max_pool3d_backward", max_pool3d_backward_batched);
  m.impl("_max_pool3d_gather", max_pool3d_gather_batched);
  m.impl("_max_pool3d_indices", max_pool3d_indices_batched);
  m.impl("_max_unpool3d", max_unpool3d_batched);
  m.impl("_max_unpool3d_gather", max_unpool3d_gather_batched);
}

}  // namespace voxpool::ops
