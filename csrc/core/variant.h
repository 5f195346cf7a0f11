#pragma once

#include <cstdint>

namespace voxpool {

// How a kernel divides a problem: `units` independent pieces, the rest is the kernel's own business. A result never
// depends on the division.
struct Plan {
  int64_t units = 0;
  int64_t planes = 0;    // of one piece, along d
  int64_t rows = 0;      // of one piece, along h
  int64_t columns = 0;   // of one piece, along w
  int64_t channels = 0;  // of one piece
};

// One implementation of a problem. A device keeps its variants in one list, best first; dispatch takes the first that
// does not refuse, explain() prints the refusals, tests and benchmarks walk the list.
template <class Problem>
struct Variant {
  const char* name;
  // The reason why this variant cannot run the problem, or null when it can.
  const char* (*refusal)(const Problem&);
  // Pure function of plain integers; `threads` is how many will share the work.
  Plan (*plan)(const Problem&, int64_t threads);
  // Runs the units [begin, end). Units may run in any order and at the same time.
  void (*run)(const Problem&, const Plan&, int64_t begin, int64_t end);
};

}  // namespace voxpool
