#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <numeric>
#include <random>
#include <vector>

#include "core/unpool.h"
#include "guarded_buffer.h"
#include "tensors.h"

// Unpooling problems in guarded memory, and their answers by brute force.
namespace voxpool::testing {

// How indices name positions of the output: as a pooling leaves them, in any order, in any order with many of them the
// same, or all in one place. Some are -1 in all but the first.
enum class Naming { ascending, shuffled, repeated, single };
inline constexpr Naming all_namings[] = {Naming::ascending, Naming::shuffled, Naming::repeated, Naming::single};

struct UnpoolCase {
  int64_t n, c;
  std::array<int64_t, 3> in;
  int64_t volume;  // at least as large as the input
};

inline constexpr UnpoolCase unpool_cases[] = {
    {1, 1, {1, 1, 1}, 1},       {2, 3, {2, 3, 5}, 31},    {1, 2, {3, 4, 7}, 700},     {2, 17, {2, 2, 9}, 288},
    {3, 1, {1, 1, 40}, 5000},   {1, 33, {1, 6, 11}, 264}, {1, 1, {8, 24, 40}, 61440}, {1, 4, {6, 24, 40}, 46080},
    {1, 20, {3, 16, 24}, 9216}, {0, 2, {2, 2, 2}, 64},
};

inline std::vector<int64_t> named_positions(Naming naming, int64_t count, int64_t volume, std::mt19937& random) {
  std::vector<int64_t> all(static_cast<size_t>(volume));
  std::iota(all.begin(), all.end(), 0);
  if (naming != Naming::ascending) std::shuffle(all.begin(), all.end(), random);
  std::vector<int64_t> indices(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    const int64_t pick = naming == Naming::ascending  ? i * (volume / count)
                         : naming == Naming::shuffled ? i
                         : naming == Naming::repeated ? static_cast<int64_t>(random() % std::max<int64_t>(count / 4, 1))
                                                      : 0;
    const bool none = naming != Naming::ascending && random() % 11 == 0;
    indices[static_cast<size_t>(i)] = none ? -1 : all[static_cast<size_t>(pick)];
  }
  return indices;
}

// The tensors of one unpooling; T is any type, as elements are only moved.
template <class T>
struct Unpooling {
  Unpooling(const UnpoolCase& c, Order input_order, Order index_order, bool channels_last, Naming naming, uint32_t seed)
      : lengths{c.n, c.c, c.in[0], c.in[1], c.in[2]},
        input_strides(strides_of(input_order, c.c, c.in)),
        index_strides(strides_of(index_order, c.c, c.in)),
        output_strides(channels_last ? FlatStrides{c.volume * c.c, 1, c.c} : FlatStrides{c.volume * c.c, c.volume, 1}),
        volume(c.volume),
        outputs(c.n * c.c * c.volume),
        input(bytes(extent(c.n, c.c, c.in, input_strides), sizeof(T)), flush_of(seed, 0)),
        indices(bytes(extent(c.n, c.c, c.in, index_strides), sizeof(int64_t)), flush_of(seed, 1)),
        output(bytes(outputs, sizeof(T)), flush_of(seed, 2)),
        expected(static_cast<size_t>(outputs)) {
    std::mt19937 random(seed);
    for (int64_t i = 0; i < extent(c.n, c.c, c.in, input_strides); ++i) {
      input.template as<T>()[i] = static_cast<T>(random() | 1u);  // never zero
    }
    for (int64_t n = 0; n < c.n; ++n) {
      for (int64_t channel = 0; channel < c.c; ++channel) {
        fill_volume(n, channel, named_positions(naming, lengths.positions(), c.volume, random));
      }
    }
  }

  Unpool problem() {
    return {lengths,       volume,
            type(),        input.template as<void>(),
            input_strides, indices.template as<int64_t>(),
            index_strides, output.template as<void>(),
            output_strides};
  }

  // Whether the output is what brute force gives, and nothing was written beside it.
  void check(const std::string& what) {
    ASSERT_TRUE(output.canaries_alive()) << what;
    if (outputs == 0) return;
    ASSERT_EQ(std::memcmp(output.template as<T>(), expected.data(), expected.size() * sizeof(T)), 0) << what;
  }

  static constexpr ScalarType type() {
    return sizeof(T) == 1   ? ScalarType::u8
           : sizeof(T) == 2 ? ScalarType::f16
           : sizeof(T) == 4 ? ScalarType::f32
                            : ScalarType::i64;
  }

  Lengths lengths;
  Strides input_strides, index_strides;
  FlatStrides output_strides;
  int64_t volume, outputs;
  GuardedBuffer input, indices, output;
  std::vector<T> expected;

 private:
  static size_t bytes(int64_t count, size_t size) { return static_cast<size_t>(count) * size; }

  // In d, h, w order, so that later elements replace earlier ones.
  void fill_volume(int64_t n, int64_t c, const std::vector<int64_t>& positions) {
    size_t next = 0;
    for (int64_t d = 0; d < lengths.d; ++d) {
      for (int64_t h = 0; h < lengths.h; ++h) {
        for (int64_t w = 0; w < lengths.w; ++w) {
          const int64_t index = positions[next++];
          const auto at = [&](const Strides& s) { return n * s.n + c * s.c + d * s.d + h * s.h + w * s.w; };
          indices.template as<int64_t>()[at(index_strides)] = index;
          if (index < 0) continue;
          const FlatStrides& out = output_strides;
          expected[static_cast<size_t>(n * out.n + c * out.c + index * out.position)] =
              input.template as<T>()[at(input_strides)];
        }
      }
    }
  }
};

// Calls f with an Unpooling for every case, naming and format of the output, in orders that take turns.
template <class T, class F>
void for_each_unpooling(F&& f) {
  uint32_t seed = 0;
  for (const UnpoolCase& c : unpool_cases) {
    for (const Naming naming : all_namings) {
      for (const bool channels_last : {false, true}) {
        for (const Order order : all_orders) {
          const Order other = seed % 3 == 0 ? all_orders[seed % std::size(all_orders)] : order;
          Unpooling<T> unpooling(c, order, other, channels_last, naming, ++seed);
          f(unpooling, naming, "case " + std::to_string(seed));
          if (::testing::Test::HasFatalFailure()) return;
        }
      }
    }
  }
}

// grad_input of the unpooling for a gradient with the output's layout, read from `source`: by brute force.
template <class T>
void check_gathered(Unpooling<T>& u, const T* source, const T* gathered, const Strides& strides,
                    const std::string& what) {
  const Lengths& l = u.lengths;
  for (int64_t n = 0; n < l.n; ++n) {
    for (int64_t c = 0; c < l.c; ++c) {
      for (int64_t i = 0; i < l.positions(); ++i) {
        const int64_t d = i / l.w / l.h, h = i / l.w % l.h, w = i % l.w;
        const auto at = [&](const Strides& s) { return n * s.n + c * s.c + d * s.d + h * s.h + w * s.w; };
        const int64_t index = u.indices.template as<int64_t>()[at(u.index_strides)];
        const FlatStrides& out = u.output_strides;
        const bool inside = index >= 0 && index < u.volume;
        const T expected = !inside ? T{} : source[n * out.n + c * out.c + index * out.position];
        ASSERT_EQ(gathered[at(strides)], expected) << what << " element " << i;
      }
    }
  }
}

}  // namespace voxpool::testing
