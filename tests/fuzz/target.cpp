#include "target.h"

// The entry that libFuzzer calls, and corpus_test.cpp for what it has found.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace voxpool::fuzz;
  Decisions decisions(data, size);
  static constexpr void (*targets[])(Decisions&) = {pool, pool, unpool, check_arguments};
  decisions.choose(targets)(decisions);
  return 0;
}
