#include "trace/chunking.h"

#include <zstd.h>

#include <algorithm>

#include "base/error.h"

namespace aftune::trace {
namespace {

// Level 1: on floats higher levels cost three times as much and gain nothing.
constexpr int kLevel = 1;

void shuffle(const std::byte* from, std::byte* to, std::int64_t elements, std::size_t size) {
  for (std::size_t b = 0; b < size; ++b)
    for (std::int64_t i = 0; i < elements; ++i) *to++ = from[static_cast<std::size_t>(i) * size + b];
}

void unshuffle(const std::byte* from, std::byte* to, std::int64_t elements, std::size_t size) {
  for (std::size_t b = 0; b < size; ++b)
    for (std::int64_t i = 0; i < elements; ++i) to[static_cast<std::size_t>(i) * size + b] = *from++;
}

}  // namespace

Chunking::Chunking(const Shape& shape, std::size_t dimension, std::int64_t cut)
    : dims_(shape), dimension_(dimension), cut_(cut), shape_(shape) {
  for (std::size_t d = 0; d < dimension; ++d) {
    outer_ *= shape[d];
    dims_[d] = 1;
  }
  for (std::size_t d = dimension + 1; d < shape.size(); ++d) inner_ *= shape[d];
  extent_ = shape[dimension];
  dims_[dimension] = cut;
  pieces_ = (extent_ + cut - 1) / cut;
}

Chunking Chunking::choose(const Shape& shape, std::size_t element_size) {
  AFTUNE_CHECK(!shape.empty() && element_count(shape) > 0);
  const std::int64_t target = kMaxChunkBytes / 2 / static_cast<std::int64_t>(element_size);
  std::int64_t inner = 1;
  std::size_t d = shape.size() - 1;
  while (d > 0 && inner * shape[d] <= target) inner *= shape[d--];
  return Chunking(shape, d, std::clamp<std::int64_t>(target / inner, 1, shape[d]));
}

Chunking Chunking::checked(const Shape& shape, std::size_t element_size, const Shape& dims) {
  if (shape.empty() || dims.size() != shape.size() || element_count(shape) == 0)
    fail(Fault::kEvidence, "chunk dimensions that do not fit the dataset");
  std::size_t d = 0;
  while (d + 1 < dims.size() && dims[d] == 1) ++d;
  std::int64_t elements = 1;
  for (std::size_t i = d; i < dims.size(); ++i) {
    const bool fits = i == d ? dims[i] >= 1 && dims[i] <= shape[i] : dims[i] == shape[i];
    if (!fits) fail(Fault::kEvidence, "chunk dimensions that are not one run of elements");
    elements *= dims[i];
    if (elements > kMaxChunkBytes / static_cast<std::int64_t>(element_size))
      fail(Fault::kEvidence, "chunks of more than ", kMaxChunkBytes, " bytes");
  }
  return Chunking(shape, d, dims[d]);
}

Chunking::Run Chunking::run(std::int64_t chunk) const {
  const std::int64_t outer = chunk / pieces_;
  const std::int64_t start = chunk % pieces_ * cut_;
  Run run;
  run.first = (outer * extent_ + start) * inner_;
  run.length = std::min(cut_, extent_ - start) * inner_;
  run.offset.assign(shape_.size(), 0);
  run.offset[dimension_] = start;
  std::int64_t rest = outer;
  for (std::size_t d = dimension_; d-- > 0;) {
    run.offset[d] = rest % shape_[d];
    rest /= shape_[d];
  }
  return run;
}

std::int64_t Chunking::chunk_of(std::int64_t element) const {
  const std::int64_t slice = extent_ * inner_;
  return element / slice * pieces_ + element % slice / (cut_ * inner_);
}

ChunkCodec::ChunkCodec(std::int64_t elements, std::size_t element_size)
    : elements_(elements),
      element_size_(element_size),
      plain_(static_cast<std::size_t>(elements) * element_size),
      shuffled_(plain_.size()) {}

Bytes ChunkCodec::encode(ByteView run) {
  AFTUNE_CHECK(run.size() <= plain_.size());
  std::copy(run.begin(), run.end(), plain_.begin());
  std::fill(plain_.begin() + static_cast<std::ptrdiff_t>(run.size()), plain_.end(), std::byte{0});
  shuffle(plain_.data(), shuffled_.data(), elements_, element_size_);
  Bytes frame(ZSTD_compressBound(shuffled_.size()));
  const std::size_t size =
      ZSTD_compress(frame.data(), frame.size(), shuffled_.data(), shuffled_.size(), kLevel);
  AFTUNE_CHECK(ZSTD_isError(size) == 0);
  frame.resize(size);
  return frame;
}

void ChunkCodec::decode(ByteView frame, std::span<std::byte> out) {
  AFTUNE_CHECK(out.size() <= plain_.size());
  const std::size_t size = ZSTD_decompress(shuffled_.data(), shuffled_.size(), frame.data(), frame.size());
  if (ZSTD_isError(size) != 0) fail(Fault::kEvidence, "zstd: ", ZSTD_getErrorName(size));
  if (size != shuffled_.size())
    fail(Fault::kEvidence, "a chunk of ", size, " bytes instead of ", shuffled_.size());
  unshuffle(shuffled_.data(), plain_.data(), elements_, element_size_);
  std::copy_n(plain_.begin(), out.size(), out.begin());
}

}  // namespace aftune::trace
