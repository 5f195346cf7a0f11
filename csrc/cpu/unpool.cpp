#include "cpu/unpool.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "core/axis.h"
#include "core/element.h"

namespace voxpool::cpu {
namespace {

// 32 KiB of indices: what the second look at a block finds in the first-level cache, or close to it.
constexpr int64_t block_indices = 4096;
// Channels next to each other that are taken together where volumes are written one by one: a cache line of indices.
constexpr int64_t channels_together = 8;
// Below this many bytes a range is not worth its thread.
constexpr int64_t smallest_range = int64_t{64} * 1024;
// Units for each thread, so that none waits long for the last one.
constexpr int64_t units_per_thread = 4;

bool channels_inner(const Strides& s) { return s.c < s.w; }
bool channels_inner(const FlatStrides& s) { return s.c < s.position; }

// Pieces of the small tensor: groups of channels, and blocks of positions in d, h, w order.
struct Pieces {
  int64_t channels, groups, positions, blocks;

  Pieces(const Lengths& lengths, int64_t channels)
      : channels(channels),
        groups(ceil_div(lengths.c, channels)),
        positions(std::clamp<int64_t>(block_indices / channels, 1, lengths.positions())),
        blocks(ceil_div(lengths.positions(), positions)) {}

  Range group(int64_t g, const Lengths& lengths) const {
    return {g * channels, std::min((g + 1) * channels, lengths.c)};
  }
  Range block(int64_t b, const Lengths& lengths) const {
    return {b * positions, std::min((b + 1) * positions, lengths.positions())};
  }
};

Pieces pieces_of(const Unpool& p) {
  // One sweep zeroes all channels of an output whose channels lie together.
  if (channels_inner(p.output_strides)) return {p.lengths, p.lengths.c};
  const bool together = channels_inner(p.index_strides) || channels_inner(p.input_strides);
  return {p.lengths, together ? std::min(p.lengths.c, channels_together) : 1};
}

Pieces pieces_of(const UnpoolGather& p) {
  const bool together = channels_inner(p.index_strides) || channels_inner(p.source_strides);
  return {p.lengths, together ? std::min(p.lengths.c, channels_together) : 1};
}

// Output positions of one range, a multiple of 64 so that ranges share no cache line.
int64_t range_positions(const Unpool& p, int64_t threads) {
  const Pieces pieces = pieces_of(p);
  const int64_t volumes = p.lengths.n * pieces.groups;
  if (threads == 1 || volumes == 0 || volumes >= units_per_thread * threads) return p.volume;
  const int64_t bytes = p.volume * pieces.channels * static_cast<int64_t>(size_of(p.dtype));
  const int64_t ranges = std::clamp<int64_t>(bytes / smallest_range, 1, ceil_div(units_per_thread * threads, volumes));
  return std::min(p.volume, ceil_div(ceil_div(p.volume, ranges), 64) * 64);
}

// Calls f(i, count) for the runs of a block along w: `i` is the position of the first element, here with its offset in
// a tensor of these strides.
template <class F>
void for_each_run(const Lengths& lengths, const Range& block, F&& f) {
  for (int64_t i = block.begin; i < block.end;) {
    const int64_t row = i / lengths.w, w = i % lengths.w;
    const int64_t count = std::min(lengths.w - w, block.end - i);
    f(row / lengths.h, row % lengths.h, w, count);
    i += count;
  }
}

int64_t offset(const Strides& s, int64_t d, int64_t h, int64_t w) { return d * s.d + h * s.h + w * s.w; }

// The span of what it was shown; four at a time, as each comparison waits for the one before.
class Spans {
 public:
  void take(const int64_t* indices, int64_t count, int64_t stride) {
    int64_t i = 0;
    for (; i + 4 <= count; i += 4) {
      for (int64_t lane = 0; lane < 4; ++lane) extend(lanes_[lane], indices[(i + lane) * stride]);
    }
    for (; i < count; ++i) extend(lanes_[0], indices[i * stride]);
  }

  IndexSpan all() const {
    IndexSpan span = lanes_[0];
    for (const IndexSpan& lane : lanes_) {
      span = {std::min(span.first, lane.first), std::max(span.last, lane.last)};
    }
    return span;
  }

 private:
  static void extend(IndexSpan& lane, int64_t index) {
    const uint64_t next = static_cast<uint64_t>(index) + 1;
    lane.first = std::min(lane.first, next);
    lane.last = std::max(lane.last, next);
  }

  static constexpr IndexSpan none{~uint64_t{0}, 0};
  IndexSpan lanes_[4] = {none, none, none, none};
};

IndexSpan span_of(const Unpool& p, int64_t n, const Range& channels, const Range& block) {
  const Strides& s = p.index_strides;
  const int64_t* volume = p.indices + (n * s.n + channels.begin * s.c);
  Spans spans;
  for_each_run(p.lengths, block, [&](int64_t d, int64_t h, int64_t w, int64_t count) {
    const int64_t* run = volume + offset(s, d, h, w);
    if (channels_inner(s)) {
      for (int64_t i = 0; i < count; ++i) spans.take(run + i * s.w, channels.size(), s.c);
    } else {
      for (int64_t c = 0; c < channels.size(); ++c) spans.take(run + c * s.c, count, s.w);
    }
  });
  return spans.all();
}

void report(const IndexSpan& span, int64_t volume, int32_t* invalid) {
  if (span.last > static_cast<uint64_t>(volume)) std::atomic_ref<int32_t>(*invalid).store(1, std::memory_order_relaxed);
}

// Elements next to each other along w, of one channel, or along c, at one position: their distances. The output moves
// on by `step` from one to the next, apart from the index.
struct Line {
  int64_t count, index, element, position, step;
};

template <class T, bool dense>
void scatter_line(const Line& line, const int64_t* indices, const T* input, T* output, const Range& own) {
  const uint64_t size = static_cast<uint64_t>(own.size());
  for (int64_t i = 0; i < line.count; ++i) {
    const int64_t index = indices[dense ? i : i * line.index];
    if (static_cast<uint64_t>(index) - static_cast<uint64_t>(own.begin) < size) {
      output[index * line.position + i * line.step] = input[dense ? i : i * line.element];
    }
  }
}

template <class T>
void scatter_line(const Line& line, const int64_t* indices, const T* input, T* output, const Range& own) {
  if (line.index == 1 && line.element == 1 && line.step == 0 && line.position == 1) {
    // Constants, so that nothing is multiplied.
    return scatter_line<T, true>({line.count, 1, 1, 1, 0}, indices, input, output, own);
  }
  if (line.index == 1 && line.element == 1) return scatter_line<T, true>(line, indices, input, output, own);
  return scatter_line<T, false>(line, indices, input, output, own);
}

// Brings the elements of a block to their places inside the range `own` of output positions.
template <class T>
void scatter(const Unpool& p, int64_t n, const Range& channels, const Range& block, const Range& own, T* output) {
  const Strides &in = p.input_strides, &at = p.index_strides;
  const FlatStrides& out = p.output_strides;
  const T* input = static_cast<const T*>(p.input) + (n * in.n + channels.begin * in.c);
  const int64_t* indices = p.indices + (n * at.n + channels.begin * at.c);
  for_each_run(p.lengths, block, [&](int64_t d, int64_t h, int64_t w, int64_t count) {
    const int64_t* index = indices + offset(at, d, h, w);
    const T* x = input + offset(in, d, h, w);
    if (channels_inner(at) && channels_inner(out)) {
      const Line line{channels.size(), at.c, in.c, out.position, out.c};
      for (int64_t i = 0; i < count; ++i) scatter_line(line, index + i * at.w, x + i * in.w, output, own);
    } else {
      const Line line{count, at.w, in.w, out.position, 0};
      for (int64_t c = 0; c < channels.size(); ++c) {
        scatter_line(line, index + c * at.c, x + c * in.c, output + c * out.c, own);
      }
    }
  });
}

// Zeroes output positions of a group of channels.
template <class T>
void zero(const FlatStrides& s, T* output, int64_t channels, const Range& positions) {
  const size_t bytes = static_cast<size_t>(positions.size()) * sizeof(T);
  if (channels_inner(s)) {
    std::memset(output + positions.begin * s.position, 0, bytes * static_cast<size_t>(channels));
  } else {
    for (int64_t c = 0; c < channels; ++c) std::memset(output + c * s.c + positions.begin, 0, bytes);
  }
}

template <class T>
void unpool_range(const UnpoolTask& task, const Pieces& pieces, int64_t n, int64_t group, const Range& own) {
  const Unpool& p = task.problem;
  const Range channels = pieces.group(group, p.lengths);
  T* output = static_cast<T*>(p.output) + (n * p.output_strides.n + channels.begin * p.output_strides.c);
  int64_t zeroed = own.begin;
  for (int64_t b = 0; b < pieces.blocks; ++b) {
    const Range block = pieces.block(b, p.lengths);
    IndexSpan span;
    if (task.spans != nullptr) {
      span = task.spans[(n * pieces.groups + group) * pieces.blocks + b];
    } else {
      span = span_of(p, n, channels, block);
      report(span, p.volume, task.invalid);
    }
    if (span.last <= static_cast<uint64_t>(own.begin) || span.first > static_cast<uint64_t>(own.end)) continue;
    const int64_t reach = span.last < static_cast<uint64_t>(own.end) ? static_cast<int64_t>(span.last) : own.end;
    if (reach > zeroed) {
      zero(p.output_strides, output, channels.size(), {zeroed, reach});
      zeroed = reach;
    }
    scatter(p, n, channels, block, own, output);
  }
  if (zeroed < own.end) zero(p.output_strides, output, channels.size(), {zeroed, own.end});
}

Plan plan_unpool(const UnpoolTask& task, int64_t threads) {
  const Unpool& p = task.problem;
  const int64_t positions = range_positions(p, threads);
  return {.units = p.lengths.n * pieces_of(p).groups * ceil_div(p.volume, positions), .columns = positions};
}

void run_unpool(const UnpoolTask& task, const Plan& plan, int64_t begin, int64_t end) {
  const Unpool& p = task.problem;
  const Pieces pieces = pieces_of(p);
  const int64_t ranges = ceil_div(p.volume, plan.columns);
  dispatch_size(p.dtype, [&]<class T>(T) {
    for (int64_t unit = begin; unit < end; ++unit) {
      const int64_t range = unit % ranges, group = unit / ranges % pieces.groups, n = unit / ranges / pieces.groups;
      const Range own{range * plan.columns, std::min((range + 1) * plan.columns, p.volume)};
      unpool_range<T>(task, pieces, n, group, own);
    }
  });
}

Plan plan_spans(const UnpoolSpans& task, int64_t) { return {.units = span_count(task.problem)}; }

void run_spans(const UnpoolSpans& task, const Plan&, int64_t begin, int64_t end) {
  const Unpool& p = task.problem;
  const Pieces pieces = pieces_of(p);
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t b = unit % pieces.blocks, group = unit / pieces.blocks % pieces.groups;
    const int64_t n = unit / pieces.blocks / pieces.groups;
    task.spans[unit] = span_of(p, n, pieces.group(group, p.lengths), pieces.block(b, p.lengths));
    report(task.spans[unit], p.volume, task.invalid);
  }
}

template <class T, bool dense>
void gather_line(const Line& line, int64_t volume, const int64_t* indices, const T* source, T* output) {
  for (int64_t i = 0; i < line.count; ++i) {
    const int64_t index = indices[dense ? i : i * line.index];
    const bool inside = static_cast<uint64_t>(index) < static_cast<uint64_t>(volume);
    output[dense ? i : i * line.element] = inside ? source[dense ? index : index * line.position] : T{};
  }
}

template <class T>
void gather_block(const UnpoolGather& p, int64_t n, const Range& channels, const Range& block) {
  const Strides &out = p.output_strides, &at = p.index_strides;
  const FlatStrides& from = p.source_strides;
  const T* source = static_cast<const T*>(p.source) + (n * from.n + channels.begin * from.c);
  const int64_t* indices = p.indices + (n * at.n + channels.begin * at.c);
  T* output = static_cast<T*>(p.output) + (n * out.n + channels.begin * out.c);
  const bool dense = at.w == 1 && out.w == 1 && from.position == 1;
  for_each_run(p.lengths, block, [&](int64_t d, int64_t h, int64_t w, int64_t count) {
    const int64_t* index = indices + offset(at, d, h, w);
    T* y = output + offset(out, d, h, w);
    const Line line{count, at.w, out.w, from.position, 0};
    const auto gather = dense ? gather_line<T, true> : gather_line<T, false>;
    for (int64_t c = 0; c < channels.size(); ++c) {
      gather(line, p.volume, index + c * at.c, source + c * from.c, y + c * out.c);
    }
  });
}

Plan plan_gather(const UnpoolGather& p, int64_t) {
  const Pieces pieces = pieces_of(p);
  return {.units = p.lengths.n * pieces.groups * pieces.blocks};
}

void run_gather(const UnpoolGather& p, const Plan&, int64_t begin, int64_t end) {
  const Pieces pieces = pieces_of(p);
  dispatch_size(p.dtype, [&]<class T>(T) {
    for (int64_t unit = begin; unit < end; ++unit) {
      const int64_t b = unit % pieces.blocks, group = unit / pieces.blocks % pieces.groups;
      const int64_t n = unit / pieces.blocks / pieces.groups;
      gather_block<T>(p, n, pieces.group(group, p.lengths), pieces.block(b, p.lengths));
    }
  });
}

template <class Problem>
const char* no_refusal(const Problem&) {
  return nullptr;
}

}  // namespace

int64_t span_count(const Unpool& p) {
  const Pieces pieces = pieces_of(p);
  return p.lengths.n * pieces.groups * pieces.blocks;
}

bool wants_spans(const Unpool& p, int64_t threads) { return range_positions(p, threads) < p.volume; }

const Variant<UnpoolTask> unpool{"unpool", no_refusal<UnpoolTask>, plan_unpool, run_unpool};
const Variant<UnpoolSpans> unpool_spans{"unpool spans", no_refusal<UnpoolSpans>, plan_spans, run_spans};
const Variant<UnpoolGather> unpool_gather{"unpool gather", no_refusal<UnpoolGather>, plan_gather, run_gather};

}  // namespace voxpool::cpu
