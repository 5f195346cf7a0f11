#pragma once

#include <array>

#include "core/problem.h"
#include "core/variant.h"

// How the separable kernels cut a pooling into tiles: planes x rows x columns of the output of one volume.
namespace voxpool::cpu {

enum class Layout { channels_first, channels_last };

// Windows that do not overlap along an axis share nothing along it: their rows are reduced together, in registers.
// Along d only where the same holds along h, and for as many rows as a kernel holds pointers to.
constexpr int64_t most_rows_together = 255;
bool rows_together_along_h(const Geometry& geometry);
bool rows_together_along_d(const Geometry& geometry);

// Rows that are kept while a tile is computed, each of `columns` lanes (times the channels in channels-last): `rows`
// rows reduced along w, and `planes` planes of a tile's rows reduced along w and h. A ring holds as many as one window
// spans, so that windows that overlap share the work; it is empty where rows are reduced together.
struct Rings {
  int64_t rows;
  int64_t planes;
};
Rings rings(const Geometry& geometry);

// What a thread may keep at hand: half of the second-level cache, the other half is for what streams by. Read once from
// the system, 256 KiB where it does not tell.
int64_t scratch_budget();

// What a kernel keeps of a tile: rows and planes, `lane_bytes` for an element of them, and rows by the `row_step`.
struct KeptRows {
  Rings rings;
  int64_t lane_bytes;
  int64_t row_step = 1;
};

// Tiles as large as leave what is kept of them within `budget` bytes, and enough of them for `threads`.
Plan plan_tiles(const Geometry& geometry, Layout layout, const KeptRows& kept, int64_t threads, int64_t budget);

// How many rows of such a tile, of `channels` lanes per column, are worth one call: as many as make a few KiB.
int64_t rows_at_once(const Plan& plan, int64_t channels);

struct Tile {
  int64_t n, c;
  Range d, h, w;
};

// The tiles of a plan in the order of their units, from some unit on. Counting costs less than dividing for each, which
// shows where volumes are small.
class Tiles {
 public:
  // Of the output.
  Tiles(const Geometry& geometry, Layout layout, const Plan& plan, int64_t unit);
  Tiles(const std::array<int64_t, 3>& sizes, int64_t channels, const Plan& plan, int64_t unit);

  Tile next();

 private:
  struct Counter {
    int64_t begin;
    int64_t step;
    int64_t end;

    bool advance();  // whether it came back to zero
    Range range() const { return {begin, begin + step < end ? begin + step : end}; }
  };
  Counter w_, h_, d_, c_;
  int64_t n_;
};

// The backward pooling cut into strips of rows of the input, as high as lets the rows of grad_output and taps that one
// plane needs stay within `budget` for the next; and enough of them for `threads`.
Plan plan_gather(const Geometry& geometry, Layout layout, int64_t element_bytes, int64_t threads, int64_t budget);

// Of the input.
Tiles gather_tiles(const Geometry& geometry, Layout layout, const Plan& plan, int64_t unit);

// Volumes are cut along d into pieces that are pooled as volumes of their own: the planes of one, and its axis d.
struct DepthPiece {
  Range input, output;
  Axis d;
};
DepthPiece piece_of_outputs(const Axis& d, Range output);  // with every input plane that they read
DepthPiece piece_of_inputs(const Axis& d, Range input);    // with every output plane that reads them

// How many planes those are at most.
int64_t input_planes(const Axis& d, int64_t outputs);
int64_t output_planes(const Axis& d, int64_t inputs);

// Pieces for a kernel that works on copies of some channels, a multiple of 16: planes of the output's axis d for the
// forward direction, of the input's for the backward, which has a copy of one input plane at a time. The copies of a
// piece, taps included, take at most `budget` bytes; no units where even one plane of 16 channels takes more.
enum class Cut { outputs, inputs };
Plan plan_copies(const Geometry& geometry, Cut cut, int64_t element_bytes, int64_t threads, int64_t budget);

}  // namespace voxpool::cpu
