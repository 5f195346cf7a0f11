// Every variant that the kernel table would choose, on one thread, from memory: how long it takes, GB/s of the bytes it
// has to touch, and that as a fraction of a copy of as many bytes, timed in turn with it.
//
//   kernel_benchmark --benchmark_filter='k3s2p1/channels_last/float32/.*avx512'

#include <benchmark/benchmark.h>
#include <sys/mman.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>

#include "cpu/kernel_table.h"
#include "cpu/tile_plan.h"

namespace voxpool {
namespace {

using cpu::Layout;

struct Case {
  const char* name;
  int64_t batch, channels;
  std::array<int64_t, 3> in;
  std::array<int64_t, 3> kernel, stride, padding;
  int64_t dilation = 1;

  Geometry geometry() const {
    Window window;
    for (int i = 0; i < 3; ++i) window.axes[i] = {kernel[i], stride[i], padding[i], padding[i], dilation};
    return make_geometry(batch, channels, in, window);
  }
};

// Well beyond any cache.
constexpr Case cases[] = {
    {"k2s2", 1, 64, {32, 112, 112}, {2, 2, 2}, {2, 2, 2}, {0, 0, 0}},
    {"k122", 1, 64, {32, 112, 112}, {1, 2, 2}, {1, 2, 2}, {0, 0, 0}},
    {"k133s122p011", 1, 64, {32, 112, 112}, {1, 3, 3}, {1, 2, 2}, {0, 1, 1}},
    {"k3s2p1", 1, 64, {32, 112, 112}, {3, 3, 3}, {2, 2, 2}, {1, 1, 1}},
    {"k3s1p1", 1, 64, {16, 112, 112}, {3, 3, 3}, {1, 1, 1}, {1, 1, 1}},
    {"k3s3", 1, 64, {32, 112, 112}, {3, 3, 3}, {3, 3, 3}, {0, 0, 0}},
    {"k5s2p2", 1, 64, {16, 112, 112}, {5, 5, 5}, {2, 2, 2}, {2, 2, 2}},
    {"k3s2p1d3", 1, 32, {64, 128, 128}, {3, 3, 3}, {2, 2, 2}, {1, 1, 1}, 3},
    {"k2s2_one_channel", 1, 1, {256, 256, 256}, {2, 2, 2}, {2, 2, 2}, {0, 0, 0}},
    {"k2s2_odd", 1, 32, {80, 85, 85}, {2, 2, 2}, {2, 2, 2}, {0, 0, 0}},
};

struct Dtype {
  const char* name;
  ScalarType type;
};
constexpr Dtype dtypes[] = {{"float32", ScalarType::f32},
                            {"float64", ScalarType::f64},
                            {"bfloat16", ScalarType::bf16},
                            {"float16", ScalarType::f16},
                            {"int8", ScalarType::i8}};

enum class Operation { values, taps, indices, backward };
constexpr std::pair<const char*, Operation> operations[] = {{"values", Operation::values},
                                                            {"taps", Operation::taps},
                                                            {"indices", Operation::indices},
                                                            {"backward", Operation::backward}};

// Written once, so that no page of it is fresh, and on huge pages where the system has them.
class Buffer {
 public:
  explicit Buffer(int64_t bytes)
      : bytes_(ceil_div(bytes, page) * page), memory_(std::aligned_alloc(page, bytes_), &std::free) {
    madvise(get(), bytes_, MADV_HUGEPAGE);
    std::memset(get(), 0, bytes_);
  }

  void* get() const { return memory_.get(); }

  // Numbers of both signs in every dtype, none of them infinite or NaN.
  void randomise() {
    std::mt19937_64 random(1);
    for (int64_t i = 0; i < bytes_; i += 8) {
      const uint64_t bits = random() & 0xbfffbfffbfffbfff;
      std::memcpy(static_cast<char*>(get()) + i, &bits, sizeof bits);
    }
  }

 private:
  static constexpr int64_t page = int64_t{2} << 20;

  int64_t bytes_;
  std::unique_ptr<void, decltype(&std::free)> memory_;
};

Strides strides(Layout layout, int64_t c, int64_t d, int64_t h, int64_t w) {
  if (layout == Layout::channels_last) return {c * d * h * w, 1, h * w * c, w * c, c};
  return {c * d * h * w, d * h * w, h * w, w, 1};
}

template <class Problem>
void run(cpu::VariantList<Problem> variants, const Problem& problem) {
  const Variant<Problem>& variant = cpu::select(variants, problem);
  const Plan plan = variant.plan(problem, 1);
  variant.run(problem, plan, 0, plan.units);
}

template <class F>
double seconds(F&& f) {
  const auto start = std::chrono::steady_clock::now();
  f();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void measure(benchmark::State& state, const Case& pooling, Layout layout, ScalarType dtype, Operation operation,
             cpu::Capability capability) {
  const Geometry g = pooling.geometry();
  const cpu::KernelTable& kernels = cpu::kernel_table(capability);
  const auto element = static_cast<int64_t>(size_of(dtype));
  const int64_t volumes = g.batch * g.channels, inputs = volumes * g.input_volume();
  const int64_t outputs = volumes * g.output_volume();
  const bool taps_touched = operation == Operation::taps || operation == Operation::backward;
  const bool indices_touched = operation == Operation::indices;
  const int64_t bytes =
      (inputs + outputs) * element + (taps_touched ? outputs : 0) + (indices_touched ? 8 * outputs : 0);

  Buffer input(inputs * element), output(outputs * element), taps(outputs);
  Buffer indices(indices_touched ? 8 * outputs : 1), from(bytes / 2), to(bytes / 2);
  input.randomise();
  Forward forward{
      .geometry = g,
      .dtype = dtype,
      .code = tap_code(g),
      .input = input.get(),
      .input_strides = strides(layout, g.channels, g.d().in, g.h().in, g.w().in),
      .output = output.get(),
      .taps = taps.get(),
      .indices = nullptr,
      .output_strides = strides(layout, g.channels, g.d().out, g.h().out, g.w().out),
  };
  run(kernels.forward, forward);  // the taps that the backward reads
  if (operation != Operation::taps) forward.taps = nullptr;
  if (indices_touched) forward.indices = static_cast<int64_t*>(indices.get());
  const Backward backward{
      .geometry = g,
      .dtype = dtype,
      .code = forward.code,
      .grad_output = output.get(),
      .taps = taps.get(),
      .output_strides = forward.output_strides,
      .grad_input = input.get(),
      .input_strides = forward.input_strides,
  };

  double kernel_seconds = 0, copy_seconds = 0;
  for (auto _ : state) {
    copy_seconds += seconds([&] { std::memcpy(to.get(), from.get(), bytes / 2); });
    const double kernel = seconds(
        [&] { operation == Operation::backward ? run(kernels.backward, backward) : run(kernels.forward, forward); });
    kernel_seconds += kernel;
    state.SetIterationTime(kernel);
  }
  state.SetBytesProcessed(state.iterations() * bytes);
  state.counters["of_copy"] = copy_seconds / kernel_seconds;
  state.SetLabel(operation == Operation::backward ? cpu::select(kernels.backward, backward).name
                                                  : cpu::select(kernels.forward, forward).name);
}

void register_all() {
  for (const Case& pooling : cases) {
    for (const Layout layout : {Layout::channels_first, Layout::channels_last}) {
      for (const Dtype& dtype : dtypes) {
        for (const auto& [operation_name, operation] : operations) {
          if (operation == Operation::backward && dtype.type == ScalarType::i8) continue;
          for (const cpu::Capability capability : cpu::available_capabilities()) {
            const std::string name = std::string(pooling.name) + '/' +
                                     (layout == Layout::channels_first ? "channels_first" : "channels_last") + '/' +
                                     dtype.name + '/' + operation_name + '/' + std::string(cpu::name_of(capability));
            const auto body = [&pooling, layout, type = dtype.type, operation, capability](benchmark::State& state) {
              measure(state, pooling, layout, type, operation, capability);
            };
            benchmark::RegisterBenchmark(name.c_str(), body)->UseManualTime()->Unit(benchmark::kMillisecond);
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace voxpool

int main(int argc, char** argv) {
  voxpool::register_all();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
