#pragma once

#include "core/unpool.h"
#include "cuda/kernels/generic.h"

// Unpooling: one thread for one index. T stands for every type of its size.
namespace voxpool::cuda {

VOXPOOL_DEVICE bool inside(int64_t index, int64_t volume) {
  return static_cast<uint64_t>(index) < static_cast<uint64_t>(volume);
}

// Which of several threads with one index writes last is not determined: see UnpoolWinners.
template <class T>
struct UnpoolScatter {
  using Item = int64_t;

  Unpool p;
  generic::Elements elements;

  VOXPOOL_DEVICE void operator()(int64_t item) const {
    const generic::Element e = elements.at(item);
    const int64_t index = p.indices[e.offset(p.index_strides)];
    if (!inside(index, p.volume)) return;
    const FlatStrides& out = p.output_strides;
    static_cast<T*>(p.output)[e.n * out.n + e.c * out.c + index * out.position] =
        static_cast<const T*>(p.input)[e.offset(p.input_strides)];
  }
};

template <class T>
struct UnpoolGatherAny {
  using Item = int64_t;

  UnpoolGather p;
  generic::Elements elements;

  VOXPOOL_DEVICE void operator()(int64_t item) const {
    const generic::Element e = elements.at(item);
    const int64_t index = p.indices[e.offset(p.index_strides)];
    const FlatStrides& from = p.source_strides;
    T value{};
    if (inside(index, p.volume)) {
      value = static_cast<const T*>(p.source)[e.n * from.n + e.c * from.c + index * from.position];
    }
    static_cast<T*>(p.output)[e.offset(p.output_strides)] = value;
  }
};

struct UnpoolWinnersAny {
  using Item = int64_t;

  UnpoolWinners p;
  generic::Elements elements;

  VOXPOOL_DEVICE void operator()(int64_t item) const {
    const generic::Element e = elements.at(item);
    const int64_t index = p.indices[e.offset(p.index_strides)];
    if (!inside(index, p.volume)) return;
    const int64_t position = (e.d * p.lengths.h + e.h) * p.lengths.w + e.w;
    int64_t* winner = p.winners + ((e.n * p.lengths.c + e.c) * p.volume + index);
#if defined(__CUDA_ARCH__)
    // A maximum does not depend on the order. int64_t is long, which atomicMax has no overload for.
    atomicMax(reinterpret_cast<long long*>(winner), static_cast<long long>(position));
#else
    *winner = *winner < position ? position : *winner;
#endif
  }
};

}  // namespace voxpool::cuda
