#pragma once

#include <cstddef>
#include <cstdint>

#include "core/unpool.h"
#include "core/variant.h"

// Unpooling on the CPU. The output is written in one sweep: a block of indices is looked through, the output zeroed as
// far as they reach, then the block scattered into what is still in cache. Nothing else orders the indices, which may
// come in any order and any number of times.
//
// Where there are fewer volumes than threads, every volume is cut into ranges of output positions. A range owns its
// positions, takes the input in order and leaves out what is not its own, so that a result depends on no division; the
// span of every block, found beforehand, tells which blocks a range need not look at.
namespace voxpool::cpu {

// The least and the largest index of a block, plus one: -1 becomes 0, and what is below it larger than any volume.
struct IndexSpan {
  uint64_t first, last;
};

struct UnpoolTask {
  Unpool problem;
  const IndexSpan* spans;  // of every block, or null: each is then found on the way
  int32_t* invalid;        // set to 1 if an index is neither -1 nor a position of the output
};

// Writes the spans of all blocks.
struct UnpoolSpans {
  Unpool problem;
  IndexSpan* spans;
  int32_t* invalid;
};

// How many spans there are.
int64_t span_count(const Unpool& problem);

// Whether this many threads need the spans beforehand.
bool wants_spans(const Unpool& problem, int64_t threads);

extern const Variant<UnpoolTask> unpool;
extern const Variant<UnpoolSpans> unpool_spans;
extern const Variant<UnpoolGather> unpool_gather;

}  // namespace voxpool::cpu
