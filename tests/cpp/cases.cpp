#include "cases.h"

#include <sstream>

namespace voxpool::testing {
namespace {

// Kernel, stride, padding (begin, end) and dilation of one axis.
WindowAxis axis(int64_t kernel, int64_t stride, int64_t begin, int64_t end, int64_t dilation) {
  return {kernel, stride, begin, end, dilation};
}

Window cube(WindowAxis a, bool ceil_mode = false) { return {{a, a, a}, ceil_mode, PaddingRule::pairs, 3}; }

Window plane(WindowAxis a) { return {{axis(1, 1, 0, 0, 1), a, a}, false, PaddingRule::pairs, 3}; }

}  // namespace

std::string Case::name() const {
  std::ostringstream text;
  text << batch << 'x' << channels << 'x' << in[0] << 'x' << in[1] << 'x' << in[2];
  for (const WindowAxis& a : window.axes) {
    text << " k" << a.kernel << 's' << a.stride << 'p' << a.pad_begin << ',' << a.pad_end << 'd' << a.dilation;
  }
  if (window.ceil_mode) text << " ceil";
  return text.str();
}

std::vector<Case> named_cases() {
  const WindowAxis k2 = axis(2, 2, 0, 0, 1), k3s2 = axis(3, 2, 1, 1, 1), k3s1 = axis(3, 1, 1, 1, 1);
  std::vector<Case> cases = {
      {1, 1, {1, 1, 1}, cube(axis(1, 1, 0, 0, 1))},
      {2, 3, {4, 6, 70}, cube(k2)},
      {1, 2, {5, 7, 67}, cube(k2, true)},
      {1, 17, {4, 5, 6}, cube(k2)},
      {1, 64, {3, 5, 7}, plane(k2)},
      {1, 3, {3, 9, 133}, plane(axis(3, 2, 1, 1, 1))},
      {1, 3, {6, 9, 135}, cube(k3s2)},
      {1, 33, {6, 7, 8}, cube(k3s2, true)},
      {1, 2, {5, 6, 131}, cube(k3s1)},
      {1, 65, {3, 4, 5}, cube(k3s1)},
      {2, 32, {5, 7, 9}, cube(k3s1)},  // whole vectors of channels
      {1, 64, {3, 11, 6}, cube(k3s1)},
      {1, 512, {2, 3, 34}, cube(k3s1)},  // tiles of a part of each row
      {1, 16, {6, 1, 2}, {{axis(3, 2, 1, 1, 2), k3s1, k3s1}, false, PaddingRule::symmetric, 3}},
      {1,
       64,
       {5, 6, 5},
       {{axis(2, 1, 1, 0, 1), axis(3, 1, 2, 0, 1), axis(3, 1, 0, 2, 1)}, false, PaddingRule::pairs, 3}},
      {2, 64, {3, 6, 7}, plane(k3s1)},
      {1, 3, {2, 10, 37}, {{axis(1, 2, 0, 0, 1), k3s1, axis(3, 1, 0, 0, 1)}, false, PaddingRule::pairs, 3}},
      {2, 70, {9, 4, 5}, cube(k3s2)},  // a group of channels and a part of one
      {1, 18, {9, 3, 2}, cube(axis(2, 3, 0, 0, 1))},
      {1, 2, {7, 11, 211}, cube(axis(3, 3, 0, 0, 1))},
      {1, 2, {9, 9, 150}, cube(axis(4, 4, 2, 1, 1))},
      {1, 2, {11, 12, 101}, cube(axis(5, 2, 2, 2, 1))},
      {1, 2, {9, 10, 90}, cube(axis(3, 2, 1, 1, 3))},
      {1, 1, {7, 8, 300}, cube(axis(3, 2, 1, 1, 3))},  // several vectors of any type
      {1, 2, {9, 10, 40}, cube(axis(2, 5, 1, 0, 2))},  // gaps between windows, scalar columns
      {1, 2, {8, 8, 8}, cube(axis(7, 1, 3, 3, 1))},    // 343 taps: int32 codes
      {1,
       1,
       {20, 3, 3},
       {{axis(255, 1, 127, 127, 1), axis(1, 1, 0, 0, 1), axis(1, 1, 0, 0, 1)},
        false,
        PaddingRule::symmetric,
        3}},  // 255 taps: the largest byte code
      {1,
       1,
       {20, 3, 3},
       {{axis(256, 1, 128, 128, 1), axis(1, 1, 0, 0, 1), axis(1, 1, 0, 0, 1)}, false, PaddingRule::symmetric, 3}},
      {1, 1, {1, 1, 1}, cube(axis(2, 2, 1, 1, 2))},  // a window without taps
      {2, 1, {2, 3, 4}, cube(axis(3, 1, 4, 4, 4))},
      {1, 1, {4, 4, 4}, cube(axis(1291, 1, 645, 645, 1))},  // more than 2^31 taps: positions as codes
      {1, 2, {2, 2, 5}, cube(axis(1, 1, 0, 0, 1 << 30))},
      {1, 3, {3, 4, 5}, cube(axis(2, (int64_t{1} << 31) - 1, 0, 0, 1))},  // one window, and no work for the stride
      {0, 3, {4, 4, 4}, cube(k2)},
      {3, 4, {7, 7, 7}, cube(k3s2)},
      {1, 1, {40, 40, 40}, cube(k3s1)},
  };
  cases.push_back({1,
                   2,
                   {5, 6, 30},
                   {{axis(2, 2, 0, 1, 1), axis(3, 2, 1, 0, 1), axis(2, 1, 0, 1, 1)}, false, PaddingRule::pairs, 3}});
  return cases;
}

std::vector<Case> sliding_cases(int count, uint32_t seed) {
  std::mt19937 random(seed);
  const auto pick = [&](int64_t low, int64_t high) {
    return low + static_cast<int64_t>(random() % static_cast<uint32_t>(high - low + 1));
  };
  const int64_t widths[] = {1, 2, 3, 5, 16, 33, 70}, channels[] = {1, 2, 16, 64};
  std::vector<Case> cases;
  while (static_cast<int>(cases.size()) < count) {
    Case c{1, channels[pick(0, 3)], {pick(1, 8), pick(1, 10), widths[pick(0, 6)]}, {}};
    c.window.padding_rule = PaddingRule::pairs;
    bool fits = true;
    for (int i = 0; i < 3; ++i) {
      c.window.axes[i] = axis(3, 1, pick(0, 2), pick(0, 2), 1);
      fits &= c.in[i] + c.window.axes[i].pad_begin + c.window.axes[i].pad_end >= 3;
    }
    if (pick(0, 5) == 0) c.window.axes[0] = axis(1, pick(1, 2), 0, 0, 1);
    if (fits) cases.push_back(c);
  }
  return cases;
}

std::vector<Case> random_cases(int count, uint32_t seed) {
  std::mt19937 random(seed);
  const auto pick = [&](int64_t low, int64_t high) {
    return low + static_cast<int64_t>(random() % static_cast<uint32_t>(high - low + 1));
  };
  const int64_t widths[] = {1, 2, 3, 5, 7, 8, 15, 16, 17, 31, 33, 64, 65, 130};
  const int64_t channels[] = {1, 2, 3, 4, 7, 8, 9, 16, 17, 31, 33, 64};
  std::vector<Case> cases;
  while (static_cast<int>(cases.size()) < count) {
    Case c;
    c.batch = pick(1, 2);
    c.channels = channels[pick(0, std::size(channels) - 1)];
    c.in = {pick(1, 6), pick(1, 8), widths[pick(0, std::size(widths) - 1)]};
    if (c.channels > 9 && c.in[2] > 33) c.in[2] = 9;
    c.window.ceil_mode = pick(0, 1) == 1;
    c.window.padding_rule = PaddingRule::pairs;
    for (WindowAxis& a : c.window.axes) {
      a.kernel = pick(1, 4);
      a.dilation = pick(1, 4) == 1 ? pick(2, 3) : 1;
      a.stride = pick(1, 5);
      const int64_t most = a.dilation * (a.kernel - 1);
      a.pad_begin = pick(0, most);
      a.pad_end = pick(0, most);
    }
    try {
      c.geometry();
    } catch (const GeometryError&) {
      continue;  // no window fits
    }
    cases.push_back(c);
  }
  return cases;
}

}  // namespace voxpool::testing
