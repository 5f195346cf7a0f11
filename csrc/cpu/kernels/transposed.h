#pragma once

#include <algorithm>
#include <optional>

#include "cpu/kernels/gather_backward.h"
#include "cpu/kernels/sliding_maximum.h"
#include "cpu/simd/transpose.h"

// Channels-first volumes whose rows are too short for vectors of columns: groups of channels are copied with the
// channels innermost, pooled by the channels-last kernels, and copied back. A piece is some planes of a group, as many
// as leave its copies in the second-level cache.
namespace voxpool::cpu::VOXPOOL_UNIT {
namespace {

// An integer as wide as T: copies only move elements.
template <class T>
using Bits = std::conditional_t<
    sizeof(T) == 1, uint8_t,
    std::conditional_t<sizeof(T) == 2, uint16_t, std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>>>;

// Planes of a group of channels with the channels innermost.
template <class T>
class GroupCopy {
 public:
  GroupCopy(int64_t planes, int64_t plane, int64_t channels)
      : plane_(plane),
        group_(channels),
        scratch_(Scratch::bytes_for<T>((planes * plane + block<Bits<T>>)*channels)),
        data_(scratch_.take<T>((planes * plane + block<Bits<T>>)*channels)) {}

  T* data() const { return data_; }
  Strides strides(int64_t width) const { return {0, 1, plane_ * group_, width * group_, group_}; }

  // Copies some planes of a volume; `stride` is the distance between its channels.
  void fetch(const void* volume, int64_t stride, int64_t channels, Range planes) {
    const Bits<T>* from = static_cast<const Bits<T>*>(volume) + planes.begin * plane_;
    to_channels_last<Bits<T>>({from, stride, channels, planes.size() * plane_}, reinterpret_cast<Bits<T>*>(data_),
                              group_);
  }
  void bring_back(void* volume, int64_t stride, int64_t channels, Range planes) const {
    Bits<T>* to = static_cast<Bits<T>*>(volume) + planes.begin * plane_;
    from_channels_last<Bits<T>>(reinterpret_cast<const Bits<T>*>(data_), group_,
                                {to, stride, channels, planes.size() * plane_});
  }

 private:
  int64_t plane_;  // positions of a plane
  int64_t group_;
  Scratch scratch_;
  T* data_;
};

// Piece number `unit` of a plan: first all groups with the same planes, which share the tables of their kernel.
struct Piece {
  int64_t n, c;
  int64_t channels;
  Range planes;  // of the axis that is cut

  Piece(const Geometry& g, int64_t length, const Plan& plan, int64_t unit) {
    const int64_t groups = ceil_div(g.channels, plan.channels), volumes = g.batch * groups;
    n = unit % volumes / groups;
    c = unit % volumes % groups * plan.channels;
    channels = std::min(g.channels - c, plan.channels);
    const int64_t begin = unit / volumes * plan.planes;
    planes = {begin, std::min(begin + plan.planes, length)};
  }
};

// A problem on the copies of a piece.
template <class Problem>
Problem problem_on_copies(const Problem& p, int64_t group, const Axis& d, const Strides& in, const Strides& out) {
  Problem q = p;
  q.geometry.batch = 1;
  q.geometry.channels = group;
  q.geometry.axes[0] = d;
  q.input_strides = in;
  q.output_strides = out;
  q.stream = false;  // the copies stay at hand
  return q;
}

template <class E, Track track>
class TransposedForward {
  using T = typename E::Element;

 public:
  TransposedForward(const Forward& p, const Plan& plan)
      : p_(p),
        g_(p.geometry),
        plan_(plan),
        input_(input_planes(g_.d(), plan.planes), g_.h().in * g_.w().in, plan.channels),
        output_(plan.planes, g_.h().out * g_.w().out, plan.channels),
        taps_(tracks_taps(track) ? plan.planes : 0, g_.h().out * g_.w().out, plan.channels) {}

  void run(int64_t unit) {
    const Piece piece(g_, g_.d().out, plan_, unit);
    const DepthPiece depth = piece_of_outputs(g_.d(), piece.planes);
    if (!inner_ || inner_->planes != piece.planes) inner_.emplace(*this, depth);

    const Strides &in = p_.input_strides, &out = p_.output_strides;
    const int64_t to = piece.n * out.n + piece.c * out.c;
    input_.fetch(static_cast<const T*>(p_.input) + piece.n * in.n + piece.c * in.c, in.c, piece.channels, depth.input);
    inner_->run();
    output_.bring_back(static_cast<T*>(p_.output) + to, out.c, piece.channels, depth.output);
    if constexpr (tracks_taps(track)) {
      taps_.bring_back(static_cast<uint8_t*>(p_.taps) + to, out.c, piece.channels, depth.output);
    }
  }

 private:
  // The channels-last kernel for the copies of a piece.
  struct Inner {
    static constexpr bool may_slide = knows_windows && !tracks_taps(track);
    Range planes;
    OrderedForward ordered;
    Plan plan;
    std::optional<Separable<E, track>> separable;
    std::optional<SlidingMaximum<E, Layout::channels_last>> sliding;

    Inner(const TransposedForward& outer, const DepthPiece& depth)
        : planes(depth.output), ordered{outer.problem(depth.d), {}, true} {
      const Forward& p = ordered.problem;
      const bool slides = may_slide && sliding_refusal<Layout::channels_last>(p) == nullptr;
      const KeptRows kept =
          slides ? kept_by_sliding<Layout::channels_last>(p.geometry, p.dtype) : kept_rows(p.geometry, p.dtype);
      plan = plan_tiles(p.geometry, Layout::channels_last, kept, 1, scratch_budget() / 4);
      if (slides) {
        if constexpr (may_slide) sliding.emplace(p, plan);
      } else {
        separable.emplace(ordered, Layout::channels_last, plan);
      }
    }

    void run() {
      if constexpr (may_slide) {
        if (sliding) return sliding->run(0, plan.units);
      }
      separable->run(0, plan.units);
    }
  };

  Forward problem(const Axis& d) const {
    Forward q = problem_on_copies(p_, plan_.channels, d, input_.strides(g_.w().in), output_.strides(g_.w().out));
    q.input = input_.data();
    q.output = output_.data();
    if constexpr (tracks_taps(track)) q.taps = taps_.data();
    return q;
  }

  const Forward& p_;
  const Geometry& g_;
  const Plan plan_;
  GroupCopy<T> input_, output_;
  GroupCopy<uint8_t> taps_;
  std::optional<Inner> inner_;
};

template <class T>
class TransposedBackward {
 public:
  TransposedBackward(const Backward& p, const Plan& plan)
      : p_(p),
        g_(p.geometry),
        plan_(plan),
        grad_input_(1, g_.h().in * g_.w().in, plan.channels),
        grad_output_(most_outputs(), g_.h().out * g_.w().out, plan.channels),
        taps_(most_outputs(), g_.h().out * g_.w().out, plan.channels) {}

  void run(int64_t unit) {
    const Piece piece(g_, g_.d().in, plan_, unit);
    const DepthPiece depth = piece_of_inputs(g_.d(), piece.planes);
    if (!inner_ || inner_->planes != piece.planes) inner_.emplace(*this, depth);

    const Strides &in = p_.input_strides, &out = p_.output_strides;
    const int64_t from = piece.n * out.n + piece.c * out.c;
    grad_output_.fetch(static_cast<const T*>(p_.grad_output) + from, out.c, piece.channels, depth.output);
    taps_.fetch(static_cast<const uint8_t*>(p_.taps) + from, out.c, piece.channels, depth.output);
    // Each plane is copied back while it is at hand.
    void* to = static_cast<T*>(p_.grad_input) + piece.n * in.n + piece.c * in.c;
    for (int64_t d = 0; d < depth.input.size(); ++d) {
      inner_->gather.run({0, 0, {d, d + 1}, {0, g_.h().in}, {0, g_.w().in}});
      const int64_t plane = depth.input.begin + d;
      grad_input_.bring_back(to, in.c, piece.channels, {plane, plane + 1});
    }
  }

 private:
  struct Inner {
    Range planes;
    Backward problem;
    GatherBackward<T, Layout::channels_last> gather;

    Inner(const TransposedBackward& outer, const DepthPiece& depth)
        : planes(depth.input), problem(outer.problem(depth.d)), gather(problem) {}
  };

  int64_t most_outputs() const { return output_planes(g_.d(), plan_.planes); }

  Backward problem(const Axis& d) const {
    Backward q =
        problem_on_copies(p_, plan_.channels, d, grad_input_.strides(g_.w().in), grad_output_.strides(g_.w().out));
    q.grad_output = grad_output_.data();
    q.taps = taps_.data();
    q.grad_input = grad_input_.data();
    q.input_strides.d = 0;
    return q;
  }

  const Backward& p_;
  const Geometry& g_;
  const Plan plan_;
  GroupCopy<T> grad_input_, grad_output_;
  GroupCopy<uint8_t> taps_;
  std::optional<Inner> inner_;
};

// Whether each channel of a volume is one run of memory.
VOXPOOL_INLINE bool is_run(const Strides& s, int64_t depth, int64_t height, int64_t width) {
  return (s.w == 1 || width == 1) && (s.h == width || height == 1) && (s.d == height * width || depth == 1);
}

template <class Problem>
Plan copies_plan(const Problem& p, Cut cut, int64_t threads) {
  return plan_copies(p.geometry, cut, static_cast<int64_t>(size_of(p.dtype)), threads, scratch_budget() * 3 / 4);
}

template <class Problem>
const char* transposed_refusal(const Problem& p, Cut cut) {
  const Geometry& g = p.geometry;
  if (p.code.type != TapType::u8) return "a window has more than 255 taps";
  if (g.channels < 16) return "there are too few channels for vectors of them";
  if (!is_run(p.input_strides, g.d().in, g.h().in, g.w().in) ||
      !is_run(p.output_strides, g.d().out, g.h().out, g.w().out)) {
    return "a channel is not one run of memory";
  }
  if (copies_plan(p, cut, 1).units == 0) return "a plane is too large to copy";
  return nullptr;
}

// Of a row of the output: a quarter of a vector. In the baseline that is less than one element of 64 bits.
constexpr int64_t most_transposed_bytes = vector_bytes / 4;

const char* transposed_forward_refusal(const Forward& p) {
  if (p.geometry.w().out * static_cast<int64_t>(size_of(p.dtype)) > most_transposed_bytes) {
    return "rows of the output fill more than a quarter of a vector";
  }
  if (p.indices != nullptr) return "indices are written in place";
  const char* refusal = transposed_refusal(p, Cut::outputs);
  return refusal != nullptr ? refusal : common_refusal(p);
}

const char* transposed_backward_refusal(const Backward& p) {
  // 16-bit gradients are added as floats.
  const Axis& w = p.geometry.w();
  const int64_t row_bytes = w.in * std::max<int64_t>(static_cast<int64_t>(size_of(p.dtype)), 4);
  if (row_bytes > vector_bytes * std::min<int64_t>(w.stride, 2)) return "rows of the input fill vectors";
  return transposed_refusal(p, Cut::inputs);
}

Plan transposed_forward_plan(const Forward& p, int64_t threads) { return copies_plan(p, Cut::outputs, threads); }
Plan transposed_backward_plan(const Backward& p, int64_t threads) { return copies_plan(p, Cut::inputs, threads); }

void transposed_forward_run(const Forward& p, const Plan& plan, int64_t begin, int64_t end) {
  dispatch(p.dtype, [&]<class T>(T) {
    const auto run = [&](auto&& pooling) {
      for (int64_t unit = begin; unit < end; ++unit) pooling.run(unit);
    };
    if constexpr (sizeof(T) <= most_transposed_bytes) {
      using E = ElementLanes<T>;
      if (wants_taps(p)) {
        run(TransposedForward<E, Track::taps_in_scan_order>(p, plan));
      } else {
        run(TransposedForward<E, Track::values>(p, plan));
      }
    }
  });
}

void transposed_backward_run(const Backward& p, const Plan& plan, int64_t begin, int64_t end) {
  dispatch_floating(p.dtype, [&]<class T>(T) {
    TransposedBackward<T> pooling(p, plan);
    for (int64_t unit = begin; unit < end; ++unit) pooling.run(unit);
  });
}

}  // namespace
}  // namespace voxpool::cpu::VOXPOOL_UNIT
