#include "cuda/unpool.h"

#include "cuda/kernels/unpool.h"

namespace voxpool::cuda {
namespace {

// Threads in the order in which the indices lie in memory.
generic::Elements elements_of(const Lengths& lengths, const Strides& indices) {
  return {lengths.c, lengths.d, lengths.h, lengths.w, indices.c < indices.w};
}

}  // namespace

void launch_unpool(const Unpool& p, const Queue& queue) {
  dispatch_size(p.dtype, [&]<class T>(T) {
    launch("unpool generic", UnpoolScatter<T>{p, elements_of(p.lengths, p.index_strides)}, p.lengths.elements(), queue);
  });
}

void launch_unpool(const UnpoolGather& p, const Queue& queue) {
  dispatch_size(p.dtype, [&]<class T>(T) {
    launch("unpool gather generic", UnpoolGatherAny<T>{p, elements_of(p.lengths, p.index_strides)},
           p.lengths.elements(), queue);
  });
}

void launch_unpool(const UnpoolWinners& p, const Queue& queue) {
  launch("unpool winners generic", UnpoolWinnersAny{p, elements_of(p.lengths, p.index_strides)}, p.lengths.elements(),
         queue);
}

}  // namespace voxpool::cuda
