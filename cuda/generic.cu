#include "cuda/generic_kernels.h"
#include "cuda/kernels/generic.h"

namespace voxpool::cuda {
namespace {

using generic::Elements;

bool channels_inner(const Strides& strides) { return strides.c < strides.w; }

Elements outputs(const Geometry& g, const Strides& strides) {
  return {g.channels, g.d().out, g.h().out, g.w().out, channels_inner(strides)};
}

Elements inputs(const Geometry& g, const Strides& strides) {
  return {g.channels, g.d().in, g.h().in, g.w().in, channels_inner(strides)};
}

int64_t output_count(const Geometry& g) { return g.batch * g.channels * g.output_volume(); }
int64_t input_count(const Geometry& g) { return g.batch * g.channels * g.input_volume(); }

}  // namespace

void launch_generic(const Forward& p, const Queue& queue) {
  const Elements elements = outputs(p.geometry, p.output_strides);
  dispatch(p.dtype, [&]<class T>(T) {
    if (p.taps == nullptr && p.indices == nullptr) {
      launch("forward generic", generic::ForwardAny<T, Keep::values>{p, elements}, output_count(p.geometry), queue);
    } else {
      launch("forward generic", generic::ForwardAny<T, Keep::taps>{p, elements}, output_count(p.geometry), queue);
    }
  });
}

void launch_generic(const Backward& p, const Queue& queue) {
  const Elements elements = inputs(p.geometry, p.input_strides);
  dispatch_floating(p.dtype, [&]<class T>(T) {
    launch("backward generic", generic::BackwardAny<T>{p, elements}, input_count(p.geometry), queue);
  });
}

void launch_generic(const Gather& p, const Queue& queue) {
  const Elements elements = outputs(p.geometry, p.output_strides);
  dispatch_size(p.dtype, [&]<class T>(T) {
    launch("gather generic", generic::GatherAny<T>{p, elements}, output_count(p.geometry), queue);
  });
}

void launch_generic(const TapIndices& p, const Queue& queue) {
  launch("indices generic", generic::TapIndicesAny{p, outputs(p.geometry, p.output_strides)}, output_count(p.geometry),
         queue);
}

}  // namespace voxpool::cuda
