#include "cpu/unpool.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "core/axis.h"

namespace voxpool::cpu {
namespace {

// 32 KiB of indices: what the second look at a block finds in the first-level cache, or close to it.
constexpr int64_t block_indices = 4096;
// Channels next to each other that are taken together where volumes are written one by one: two cache lines of indices.
constexpr int64_t channels_together = 16;
// Below this many bytes a range is not worth its thread.
constexpr int64_t smallest_range = 64 * 1024;
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

// Least and largest index plus one of `count` elements.
void extend(IndexSpan& span, const int64_t* indices, int64_t count, int64_t stride) {
  // Four at a time, as each comparison waits for the one before.
  IndexSpan lanes[4] = {span, span, span, span};
  const auto take = [&](IndexSpan& lane, int64_t i) {
    const uint64_t next = static_cast<uint64_t>(indices[i * stride]) + 1;
    lane.first = std::min(lane.first, next);
    lane.last = std::max(lane.last, next);
  };
  int64_t i = 0;
  for (; i + 4 <= count; i += 4) {
    for (int64_t lane = 0; lane < 4; ++lane) take(lanes[lane], i + lane);
  }
  for (; i < count; ++i) take(lanes[0], i);
  for (const IndexSpan& lane : lanes) {
    span = {std::min(span.first, lane.first), std::max(span.last, lane.last)};
  }
}

IndexSpan span_of(const Unpool& p, int64_t n, const Range& channels, const Range& block) {
  const Strides& s = p.index_strides;
  const int64_t* volume = p.indices + (n * s.n + channels.begin * s.c);
  IndexSpan span{~uint64_t{0}, 0};
  for_each_run(p.lengths, block, [&](int64_t d, int64_t h, int64_t w, int64_t count) {
    const int64_t* run = volume + offset(s, d, h, w);
    if (channels_inner(s)) {
      for (int64_t i = 0; i < count; ++i) extend(span, run + i * s.w, channels.size(), s.c);
    } else {
      for (int64_t c = 0; c < channels.size(); ++c) extend(span, run + c * s.c, count, s.w);
    }
  });
  return span;
}

void report(const IndexSpan& span, int64_t volume, int32_t* invalid) {
  if (span.last > static_cast<uint64_t>(volume)) std::atomic_ref<int32_t>(*invalid).store(1, std::memory_order_relaxed);
}

// Brings the elements of a block to their places inside the range `own` of output positions.
template <class T>
void scatter(const Unpool& p, int64_t n, const Range& channels, const Range& block, const Range& own, T* output) {
  const Strides &in = p.input_strides, &at = p.index_strides;
  const T* input = static_cast<const T*>(p.input) + (n * in.n + channels.begin * in.c);
  const int64_t* indices = p.indices + (n * at.n + channels.begin * at.c);
  const uint64_t size = static_cast<uint64_t>(own.size());
  const auto move = [&](const int64_t* index, const T* x, T* volume) {
    if (static_cast<uint64_t>(*index) - static_cast<uint64_t>(own.begin) < size) {
      volume[*index * p.output_strides.position] = *x;
    }
  };
  for_each_run(p.lengths, block, [&](int64_t d, int64_t h, int64_t w, int64_t count) {
    const int64_t* index = indices + offset(at, d, h, w);
    const T* x = input + offset(in, d, h, w);
    if (channels_inner(at)) {
      for (int64_t i = 0; i < count; ++i) {
        for (int64_t c = 0; c < channels.size(); ++c) {
          move(index + (i * at.w + c * at.c), x + (i * in.w + c * in.c), output + c * p.output_strides.c);
        }
      }
    } else {
      for (int64_t c = 0; c < channels.size(); ++c) {
        T* volume = output + c * p.output_strides.c;
        for (int64_t i = 0; i < count; ++i) move(index + (i * at.w + c * at.c), x + (i * in.w + c * in.c), volume);
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

// Calls f with a value of an integer type of this size.
template <class F>
void with_element_of(size_t size, F&& f) {
  switch (size) {
    case 1:
      return f(uint8_t{});
    case 2:
      return f(uint16_t{});
    case 4:
      return f(uint32_t{});
    default:
      return f(uint64_t{});
  }
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
  with_element_of(size_of(p.dtype), [&]<class T>(T) {
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

template <class T>
void gather_block(const UnpoolGather& p, int64_t n, const Range& channels, const Range& block) {
  const Strides &out = p.output_strides, &at = p.index_strides;
  const FlatStrides& from = p.source_strides;
  const T* source = static_cast<const T*>(p.source) + (n * from.n + channels.begin * from.c);
  const int64_t* indices = p.indices + (n * at.n + channels.begin * at.c);
  T* output = static_cast<T*>(p.output) + (n * out.n + channels.begin * out.c);
  for_each_run(p.lengths, block, [&](int64_t d, int64_t h, int64_t w, int64_t count) {
    const int64_t* index = indices + offset(at, d, h, w);
    T* y = output + offset(out, d, h, w);
    for (int64_t c = 0; c < channels.size(); ++c) {
      const T* volume = source + c * from.c;
      for (int64_t i = 0; i < count; ++i) {
        const int64_t k = index[i * at.w + c * at.c];
        const bool inside = static_cast<uint64_t>(k) < static_cast<uint64_t>(p.volume);
        y[i * out.w + c * out.c] = inside ? volume[k * from.position] : T{};
      }
    }
  });
}

Plan plan_gather(const UnpoolGather& p, int64_t) {
  const Pieces pieces = pieces_of(p);
  return {.units = p.lengths.n * pieces.groups * pieces.blocks};
}

void run_gather(const UnpoolGather& p, const Plan&, int64_t begin, int64_t end) {
  const Pieces pieces = pieces_of(p);
  with_element_of(size_of(p.dtype), [&]<class T>(T) {
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
