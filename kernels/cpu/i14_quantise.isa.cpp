#include "kernels/cpu/i14.h"
#include "kernels/cpu/int_vector.h"
#include "kernels/cpu/register_tile.h"
#include "kernels/cpu/transpose.h"
#include "kernels/cpu/workspace.h"
#include "kernels/i14_ops.h"

namespace aftune::kernels::AFTUNE_ISA_NAMESPACE {
namespace {

using Steps = QuantiseI14::Steps;

#if defined(__AVX2__)

std::uint32_t* words_scratch(std::int64_t words) {
  return reinterpret_cast<std::uint32_t*>(scratch(Scratch::kQuantise, words));
}

// --- Indices whose depths are contiguous. A row is taken in chunks of two vectors, which become one of pairs
// in the order of pack_neighbours; transposing the rows puts the pairs in their places.

constexpr std::int64_t kChunk = 2 * kVecWidth;

/// Where pair p of a chunk is in its vector.
std::int64_t place_of_pair(std::int64_t p) {
  constexpr std::int64_t kHalf = kVecWidth / 2;
  const std::int64_t within = p % kHalf;
  return within / 2 * 4 + within % 2 + (p < kHalf ? 0 : 2);
}

struct Row {
  const float* x;
  const float* ahead;  ///< a row that is wanted soon, or x
  std::int64_t length;

  std::int64_t whole() const { return length / kChunk * kChunk; }
  int rest() const { return static_cast<int>(length % kChunk); }
  Mask low_mask() const { return mask_of(rest() < kVecWidth ? rest() : kVecWidth); }
  Mask high_mask() const { return mask_of(rest() < kVecWidth ? 0 : rest() - kVecWidth); }
};

std::uint32_t most_bits(const Row& row) {
  IntVec low = int_zero(), high = int_zero();
  for (std::int64_t k = 0; k < row.whole(); k += kChunk) {
    low = max_int(low, magnitude_bits(load(row.x + k)));
    high = max_int(high, magnitude_bits(load(row.x + k + kVecWidth)));
  }
  if (row.rest() != 0) {
    const float* const x = row.x + row.whole();
    low = max_int(low, magnitude_bits(load_some(x, row.low_mask())));
    high = max_int(high, magnitude_bits(load_some(x + kVecWidth, row.high_mask())));
  }
  return static_cast<std::uint32_t>(largest(max_int(low, high)));
}

/// The pairs of a row, and the sum of their squares.
template <bool kFetch>
std::int64_t convert(const Row& row, float inverse, std::uint32_t* words) {
  const Vec by = broadcast(inverse);
  // 64 squares of at most 8127 fit the 32 bits of an unsigned word; a group has 1024 / (2 * kVecWidth) of
  // them in each word, halved by taking two sums.
  IntVec squares[2] = {int_zero(), int_zero()};
  std::int64_t k = 0;
  const auto chunk = [&](Vec low, Vec high, IntVec& sum) {
    if constexpr (kFetch) {
      __builtin_prefetch(row.ahead + k);
      if constexpr (kChunk > 16) __builtin_prefetch(row.ahead + k + 16);
    }
    const IntVec pairs = pack_neighbours(to_int(multiply(low, by)), to_int(multiply(high, by)));
    store_words(words + k / 2, pairs);
    sum = dot(sum, pairs, pairs);
  };
  for (; k + 2 * kChunk <= row.length; k += kChunk) {
    chunk(load(row.x + k), load(row.x + k + kVecWidth), squares[0]);
    k += kChunk;
    chunk(load(row.x + k), load(row.x + k + kVecWidth), squares[1]);
  }
  if (k < row.whole()) {
    chunk(load(row.x + k), load(row.x + k + kVecWidth), squares[0]);
    k += kChunk;
  }
  if (row.rest() != 0)
    chunk(load_some(row.x + k, row.low_mask()), load_some(row.x + k + kVecWidth, row.high_mask()),
          squares[1]);
  return sum_wide(add_wide(add_wide(even_words(squares[0]), odd_words(squares[0])),
                           add_wide(even_words(squares[1]), odd_words(squares[1]))));
}

/// Some rows at a time, step by step: the long way from a row's largest value to its integers is then gone
/// for several rows at once.
constexpr int kBatch = 4;

void zero_words(std::uint32_t* words, std::int64_t count) {
  for (std::int64_t p = 0; p < count; p += kVecWidth) store_words(words + p, int_zero());
}

/// The first `count` rows of `from`, which has `indices`; their words lie `row_words` apart.
void quantise_batch(const Operand& from, int count, std::int64_t indices, std::int64_t length,
                    const QuantiseI14& op, std::int64_t row_words, std::uint32_t* words,
                    std::uint32_t* scales) {
  Row rows[kBatch];
  Steps first[kBatch];
  std::int64_t squares[kBatch];
  for (int i = 0; i < count; ++i) {
    const float* const x = from.data + i * from.stride;
    rows[i] = {x, i + kBatch < indices ? x + kBatch * from.stride : x, length};
    first[i] = op.from_largest(most_bits(rows[i]));
  }
  for (int i = 0; i < count; ++i) {
    squares[i] = 0;
    if (first[i].inverse == 0.0f)
      zero_words(words + i * row_words, row_words);
    else
      squares[i] = convert<true>(rows[i], first[i].inverse, words + i * row_words);
  }
  Steps steps[kBatch];
  for (int i = 0; i < count; ++i) steps[i] = op.within_norm(first[i], squares[i]);
  for (int i = 0; i < count; ++i) {
    if (steps[i].inverse != first[i].inverse)
      convert<false>(rows[i], steps[i].inverse, words + i * row_words);
    scales[i] = bits32(steps[i].scale);
  }
}

/// Whole chunks of `kCount` rows.
template <int kCount>
void transpose_chunks(const std::uint32_t* rows, std::int64_t row_words, std::int64_t pairs,
                      std::uint32_t* to, int width) {
  // Only moved: the vectors of floats are those of pack_left and pack_right.
  const float* const from = reinterpret_cast<const float*>(rows);
  float* const at = reinterpret_cast<float*>(to);
  for (std::int64_t chunk = 0; chunk + kVecWidth <= pairs; chunk += kVecWidth)
#pragma GCC unroll 4
    for (int part = 0; part < kVecWidth; part += 4) {
      float* const low = at + (chunk + part / 2) * width;
      float* const high = low + kVecWidth / 2 * width;
      transpose_four<kCount>(from + chunk + part, row_words, {low, low + width, high, high + width});
    }
}

template <int kWidth>
void transpose_panel(const std::uint32_t* rows, std::int64_t row_words, std::int64_t pairs,
                     std::uint32_t* panel) {
  constexpr int kRest = kWidth % kVecWidth;
  for (int i = 0; i + kVecWidth <= kWidth; i += kVecWidth)
    transpose_chunks<kVecWidth>(rows + i * row_words, row_words, pairs, panel + i, kWidth);
  if constexpr (kRest != 0)
    transpose_chunks<kRest>(rows + (kWidth - kRest) * row_words, row_words, pairs, panel + kWidth - kRest,
                            kWidth);
  const std::int64_t whole = pairs / kVecWidth * kVecWidth;
  for (std::int64_t p = whole; p < pairs; ++p)
    for (int i = 0; i < kWidth; ++i)
      panel[p * kWidth + i] = rows[i * row_words + whole + place_of_pair(p - whole)];
}

template <int kWidth>
void quantise_rows(const Operand& from, std::int64_t indices, std::int64_t length, const QuantiseI14& op,
                   std::uint32_t* panels, std::int64_t panel_stride) {
  const std::int64_t pairs = (length + 1) / 2;
  const std::int64_t row_words = (pairs + kVecWidth - 1) / kVecWidth * kVecWidth;
  std::uint32_t* const rows = words_scratch(kWidth * row_words);
  for (std::int64_t first = 0; first < indices; first += kWidth, panels += panel_stride) {
    const std::int64_t count = indices - first < kWidth ? indices - first : kWidth;
    std::uint32_t* const scales = panels + pairs * kWidth;
    for (std::int64_t i = 0; i < count; i += kBatch) {
      const std::int64_t at = first + i;
      quantise_batch({from.data + at * from.stride, from.stride, false},
                     static_cast<int>(count - i < kBatch ? count - i : kBatch), indices - at, length, op,
                     row_words, rows + i * row_words, scales + i);
    }
    for (std::int64_t i = count; i < kWidth; ++i) {
      zero_words(rows + i * row_words, row_words);
      scales[i] = 0;
    }
    transpose_panel<kWidth>(rows, row_words, pairs, panels);
  }
}

// --- Indices that lie side by side: a lane of a vector is an index. A strip of panels is copied first, since
// the depths of an index often fall into the same few cache sets, and every one is read two or three times.

template <int kCount>
AFTUNE_OP void store_first_words(std::uint32_t* p, Vec v) {
  store_first<kCount>(reinterpret_cast<float*>(p), v);
}

struct Lanes {
  const float* x;  ///< vectors `stride` apart
  std::int64_t stride, length;
  std::uint32_t* words;  ///< `width` apart
  int width;
};

struct LaneSteps {
  alignas(64) float inverse[kVecWidth];
  alignas(64) float scale[kVecWidth];
};

AFTUNE_OP Vec live_product(Vec x, Vec inverse) {
#if defined(__AVX512F__)
  return _mm512_maskz_mul_ps(
      _mm512_test_epi32_mask(_mm512_castps_si512(inverse), _mm512_castps_si512(inverse)), x, inverse);
#else
  return _mm256_and_ps(_mm256_mul_ps(x, inverse), _mm256_cmp_ps(inverse, _mm256_setzero_ps(), _CMP_NEQ_OQ));
#endif
}

LaneSteps steps_of_largest(const Lanes& lanes) {
  IntVec most[2] = {int_zero(), int_zero()};
  std::int64_t k = 0;
  for (; k + 2 <= lanes.length; k += 2) {
    most[0] = max_int(most[0], magnitude_bits(load(lanes.x + k * lanes.stride)));
    most[1] = max_int(most[1], magnitude_bits(load(lanes.x + (k + 1) * lanes.stride)));
  }
  if (k < lanes.length) most[0] = max_int(most[0], magnitude_bits(load(lanes.x + k * lanes.stride)));
  std::uint32_t bits[kVecWidth];
  store_words(bits, max_int(most[0], most[1]));
  LaneSteps steps;
  for (int i = 0; i < kVecWidth; ++i) {
    const Steps step = QuantiseI14::from_largest(bits[i]);
    steps.inverse[i] = step.inverse;
    steps.scale[i] = step.scale;
  }
  return steps;
}

/// Writes the pairs; sums the squares of each lane in squares[kVecWidth], where that is not null.
template <int kCount, bool kSums>
void convert(const Lanes& lanes, const LaneSteps& steps, std::int64_t* squares) {
  // As many pairs' squares as fit an unsigned word.
  constexpr std::int64_t kPairs = 32;
  const Vec inverse = load(steps.inverse);
  IntVec even = int_zero(), odd = int_zero();
  for (std::int64_t first = 0; first < lanes.length; first += 2 * kPairs) {
    const std::int64_t last = lanes.length - first < 2 * kPairs ? lanes.length : first + 2 * kPairs;
    IntVec sum = int_zero();
    const auto pair = [&](std::int64_t k, Vec high) {
      const IntVec words = pair_up(to_int(live_product(load(lanes.x + k * lanes.stride), inverse)),
                                   to_int(live_product(high, inverse)));
      store_first_words<kCount>(lanes.words + k / 2 * lanes.width, __builtin_bit_cast(Vec, words));
      if constexpr (kSums) sum = dot(sum, words, words);
    };
    std::int64_t k = first;
    for (; k + 2 <= last; k += 2) pair(k, load(lanes.x + (k + 1) * lanes.stride));
    if (k < last) pair(k, zero());
    if constexpr (kSums) {
      even = add_wide(even, even_words(sum));
      odd = add_wide(odd, odd_words(sum));
    }
  }
  if constexpr (kSums) {
    std::int64_t halves[2][kVecWidth / 2];
    __builtin_memcpy(halves[0], &even, sizeof even);
    __builtin_memcpy(halves[1], &odd, sizeof odd);
    for (int i = 0; i < kVecWidth; ++i) squares[i] = halves[i % 2][i / 2];
  }
}

/// The first kCount lanes are stored.
template <int kCount>
void quantise_lanes(const Lanes& lanes, const QuantiseI14& op) {
  LaneSteps steps = steps_of_largest(lanes);
  std::int64_t squares[kVecWidth];
  convert<kCount, true>(lanes, steps, squares);
  bool changes = false;
  for (int i = 0; i < kVecWidth; ++i) {
    const Steps step = op.within_norm({steps.inverse[i], steps.scale[i]}, squares[i]);
    changes = changes || step.inverse != steps.inverse[i];
    steps.inverse[i] = step.inverse;
    steps.scale[i] = step.scale;
  }
  if (changes) convert<kCount, false>(lanes, steps, nullptr);
  store_first_words<kCount>(lanes.words + (lanes.length + 1) / 2 * lanes.width, load(steps.scale));
}

template <int kWidth>
struct ColumnStrip {
  static constexpr int kVecs = (kWidth + kVecWidth - 1) / kVecWidth;
  static constexpr int kPadded = kVecs * kVecWidth;

  const Operand& from;
  std::int64_t indices, length;
  float* copy;  ///< [panel][depth][kPadded]

  std::int64_t panels() const { return (indices + kWidth - 1) / kWidth; }

  /// The lanes of vector v of a panel that has `count` indices.
  static constexpr int lanes_of(int v, std::int64_t count) {
    const std::int64_t lanes = count - v * kVecWidth;
    return lanes < 0 ? 0 : lanes < kVecWidth ? static_cast<int>(lanes) : kVecWidth;
  }

  template <int kVec = 0>
  void fill_panel(const float* x, float* to) const {
    store(to + kVec * kVecWidth, load_first<lanes_of(kVec, kWidth)>(x + kVec * kVecWidth));
    if constexpr (kVec + 1 < kVecs) fill_panel<kVec + 1>(x, to);
  }

  void fill() const {
    constexpr std::int64_t kAhead = 8;
    const std::int64_t whole = indices / kWidth, rest = indices % kWidth;
    for (std::int64_t k = 0; k < length; ++k) {
      const float* const row = from.data + k * from.stride;
      if (k + kAhead < length)
        for (std::int64_t i = 0; i < indices; i += 16) __builtin_prefetch(row + kAhead * from.stride + i);
      for (std::int64_t p = 0; p < whole; ++p)
        fill_panel(row + p * kWidth, copy + (p * length + k) * kPadded);
      if (rest == 0) continue;
      for (int v = 0; v < kVecs; ++v)
        store(copy + (whole * length + k) * kPadded + v * kVecWidth,
              load_some(row + whole * kWidth + v * kVecWidth, mask_of(lanes_of(v, rest))));
    }
  }

  template <int kVec = 0>
  void quantise_panel(const float* x, const QuantiseI14& op, std::uint32_t* to) const {
    quantise_lanes<lanes_of(kVec, kWidth)>(
        {x + kVec * kVecWidth, kPadded, length, to + kVec * kVecWidth, kWidth}, op);
    if constexpr (kVec + 1 < kVecs) quantise_panel<kVec + 1>(x, op, to);
  }

  void quantise(const QuantiseI14& op, std::uint32_t* to, std::int64_t panel_stride) const {
    for (std::int64_t p = 0; p < panels(); ++p)
      quantise_panel(copy + p * length * kPadded, op, to + p * panel_stride);
  }
};

template <int kWidth>
void quantise_columns(const Operand& from, std::int64_t indices, std::int64_t length, const QuantiseI14& op,
                      std::uint32_t* panels, std::int64_t panel_stride) {
  // The copy takes a part of the second-level cache.
  constexpr std::int64_t kCopy = std::int64_t{1} << 15;
  using Strip = ColumnStrip<kWidth>;
  const std::int64_t fit = kCopy / (Strip::kPadded * (length > 0 ? length : 1));
  const std::int64_t count = fit < 1 ? 1 : fit > 8 ? 8 : fit;
  float* const copy = scratch(Scratch::kQuantise, count * Strip::kPadded * length);
  for (std::int64_t first = 0; first < indices; first += count * kWidth, panels += count * panel_stride) {
    const Operand part = {from.data + first, from.stride, true};
    const std::int64_t rest = indices - first;
    const Strip strip = {part, rest < count * kWidth ? rest : count * kWidth, length, copy};
    strip.fill();
    strip.quantise(op, panels, panel_stride);
  }
}

template <int kWidth>
void quantise(const Operand& from, std::int64_t indices, std::int64_t length, const QuantiseI14& op,
              std::uint32_t* panels, std::int64_t panel_stride) {
  if (from.depth_outer)
    quantise_columns<kWidth>(from, indices, length, op, panels, panel_stride);
  else
    quantise_rows<kWidth>(from, indices, length, op, panels, panel_stride);
}

#else

std::uint32_t word_of(std::int32_t low, std::int32_t high) {
  return (static_cast<std::uint32_t>(low) & 0xffffu) | static_cast<std::uint32_t>(high) << 16;
}

/// One index; its words lie `width` apart.
void quantise_index(const float* x, std::int64_t step, std::int64_t length, const QuantiseI14& op,
                    std::uint32_t* words, int width) {
  std::uint32_t most = 0;
  for (std::int64_t k = 0; k < length; ++k) {
    const std::uint32_t bits = bits32(x[k * step]) & 0x7fffffffu;
    most = bits > most ? bits : most;
  }
  const Steps first = QuantiseI14::from_largest(most);
  std::int64_t squares = 0;
  for (std::int64_t k = 0; k < length; ++k) {
    const std::int64_t q = QuantiseI14::integer(x[k * step], first.inverse);
    squares += q * q;
  }
  const Steps steps = op.within_norm(first, squares);
  for (std::int64_t k = 0; k < length; k += 2)
    words[k / 2 * width] =
        word_of(QuantiseI14::integer(x[k * step], steps.inverse),
                k + 1 < length ? QuantiseI14::integer(x[(k + 1) * step], steps.inverse) : 0);
  words[(length + 1) / 2 * width] = bits32(steps.scale);
}

template <int kWidth>
void quantise(const Operand& from, std::int64_t indices, std::int64_t length, const QuantiseI14& op,
              std::uint32_t* panels, std::int64_t panel_stride) {
  const std::int64_t index_step = from.depth_outer ? 1 : from.stride;
  const std::int64_t depth_step = from.depth_outer ? from.stride : 1;
  for (std::int64_t i = 0; i < (indices + kWidth - 1) / kWidth * kWidth; ++i) {
    std::uint32_t* const words = panels + i / kWidth * panel_stride + i % kWidth;
    if (i < indices)
      quantise_index(from.data + i * index_step, depth_step, length, op, words, kWidth);
    else
      for (std::int64_t p = 0; p <= (length + 1) / 2; ++p) words[p * kWidth] = 0;
  }
}

#endif

void quantise_side(Side side, const Operand& from, std::int64_t indices, std::int64_t length, int group,
                   std::uint32_t* panels, std::int64_t panel_stride) {
  const QuantiseI14 op{group};
  if (side == Side::kLeft)
    quantise<kTileRows>(from, indices, length, op, panels, panel_stride);
  else
    quantise<kTileCols>(from, indices, length, op, panels, panel_stride);
}

}  // namespace

const I14Quantiser i14_quantiser = {kTileRows, kTileCols, quantise_side};

}  // namespace aftune::kernels::AFTUNE_ISA_NAMESPACE
