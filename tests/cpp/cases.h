#pragma once

#include <cstdint>
#include <ostream>
#include <random>
#include <string>
#include <vector>

#include "core/geometry.h"

// Geometries that every kernel is tried on: those of real networks at small sizes, corners, and random ones.
namespace voxpool::testing {

struct Case {
  int64_t batch, channels;
  std::array<int64_t, 3> in;
  Window window;

  Geometry geometry() const { return make_geometry(batch, channels, in, window); }
  std::string name() const;
};

std::vector<Case> named_cases();

// `count` valid geometries, the same for the same seed on every machine.
std::vector<Case> random_cases(int count, uint32_t seed);

// The same of windows of 3 x 3 x 3, and some of 1 x 3 x 3, that move by one element, in any padding.
std::vector<Case> sliding_cases(int count, uint32_t seed);

}  // namespace voxpool::testing
