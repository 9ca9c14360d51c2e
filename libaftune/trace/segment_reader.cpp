#include <algorithm>
#include <utility>

#include "base/error.h"
#include "hash/blake3.h"
#include "trace/segment.h"
#include "trace/segment_content.h"

namespace aftune::trace {
namespace {

constexpr std::uint64_t kFreeBytes = std::uint64_t{16} << 20;
constexpr std::uint64_t kMaxRatio = 1024;

// Where only the file says how large a dataset is, the work it makes is bounded by the bytes that it has.
void check_inflation(const Dataset& dataset) {
  const std::uint64_t plain = byte_size({dataset.path, dataset.dtype, dataset.shape});
  if (plain > kFreeBytes && plain / kMaxRatio > dataset.stored)
    fail(Fault::kEvidence, plain, " bytes, stored in ", dataset.stored);
}

}  // namespace

struct SegmentReader::State {
  fs::path path;
  std::unique_ptr<const SegmentContent> content;

  const std::vector<Dataset>& datasets() const { return content->datasets(); }
  const Dataset* find(const std::string& dataset) const;
  const Dataset& expect(const std::string& dataset) const;
  const Dataset& expect(const std::string& dataset, DType dtype, const Shape& shape) const;
  const Dataset& expect_list(const std::string& dataset, DType dtype, std::int64_t max_count) const;
  std::size_t place_of(const Dataset& dataset) const {
    return static_cast<std::size_t>(&dataset - datasets().data());
  }
  void read(const Dataset& dataset, std::int64_t first, std::span<std::byte> out) const;
  Digest hash(const Dataset& dataset) const;
};

const Dataset* SegmentReader::State::find(const std::string& dataset) const {
  const auto at = std::lower_bound(datasets().begin(), datasets().end(), dataset,
                                   [](const Dataset& d, const std::string& p) { return d.path < p; });
  return at == datasets().end() || at->path != dataset ? nullptr : &*at;
}

const Dataset& SegmentReader::State::expect(const std::string& dataset) const {
  const Dataset* found = find(dataset);
  if (found == nullptr) fail(Fault::kEvidence, "absent");
  return *found;
}

const Dataset& SegmentReader::State::expect(const std::string& dataset, DType dtype,
                                            const Shape& shape) const {
  const Dataset& found = expect(dataset);
  if (found.dtype != dtype || found.shape != shape)
    fail(Fault::kEvidence, "expected ", aftune::describe({dataset, dtype, shape}), ", found ",
         aftune::describe({dataset, found.dtype, found.shape}));
  return found;
}

const Dataset& SegmentReader::State::expect_list(const std::string& dataset, DType dtype,
                                                 std::int64_t max_count) const {
  const Dataset& found = expect(dataset);
  if (found.dtype != dtype || found.shape.size() != 1 || found.shape[0] > max_count)
    fail(Fault::kEvidence, "expected at most ", max_count, " ", name(dtype), ", found ",
         aftune::describe({dataset, found.dtype, found.shape}));
  check_inflation(found);
  return found;
}

// Elements from `first` on, as many as fill `out`.
void SegmentReader::State::read(const Dataset& dataset, std::int64_t first, std::span<std::byte> out) const {
  const std::size_t element = size_of(dataset.dtype);
  while (!out.empty()) {
    const std::size_t got = content->read(place_of(dataset), first, out.size(), out);
    first += static_cast<std::int64_t>(got / element);
    out = out.subspan(got);
  }
}

Digest SegmentReader::State::hash(const Dataset& dataset) const {
  check_inflation(dataset);
  const std::size_t element = size_of(dataset.dtype);
  std::uint64_t rest = byte_size({dataset.path, dataset.dtype, dataset.shape});
  Bytes piece(static_cast<std::size_t>(std::min<std::uint64_t>(kReadPiece, rest)));
  hash::Blake3 blake;
  for (std::int64_t first = 0; rest > 0;) {
    const auto out =
        std::span(piece).first(static_cast<std::size_t>(std::min<std::uint64_t>(piece.size(), rest)));
    const std::size_t got = content->read(place_of(dataset), first, rest, out);
    blake.update(out.first(got));
    first += static_cast<std::int64_t>(got / element);
    rest -= got;
  }
  return blake.finish();
}

SegmentReader::SegmentReader(const fs::path& path, Origin origin, Scan scan)
    : state_(std::make_unique<State>(State{path, nullptr})) {
  within(path.native(), [&] {
    state_->content = origin == Origin::kForeign ? foreign_segment(path, scan) : own_segment(path, scan);
  });
}

SegmentReader::SegmentReader(SegmentReader&&) noexcept = default;
SegmentReader::~SegmentReader() = default;

bool SegmentReader::has(const std::string& path) const {
  return state_->find(path) != nullptr;
}

void SegmentReader::read(const std::string& path, DType dtype, const Shape& shape,
                         std::span<std::byte> out) const {
  AFTUNE_CHECK(out.size() == byte_size({path, dtype, shape}));
  read_part(path, dtype, shape, 0, out);
}

void SegmentReader::read_part(const std::string& path, DType dtype, const Shape& shape, std::int64_t first,
                              std::span<std::byte> out) const {
  const auto count = static_cast<std::int64_t>(out.size() / size_of(dtype));
  AFTUNE_CHECK(first >= 0 && count <= element_count(shape) && first <= element_count(shape) - count);
  within(cat(state_->path.native(), ": ", path),
         [&] { state_->read(state_->expect(path, dtype, shape), first, out); });
}

void SegmentReader::read_rows(const std::string& path, DType dtype, const Shape& shape, std::int64_t first,
                              std::int64_t rows, std::span<std::byte> out) const {
  AFTUNE_CHECK(shape.size() == 2 && first >= 0 && rows >= 0 && first + rows <= shape[0]);
  AFTUNE_CHECK(out.size() == byte_size({path, dtype, {rows, shape[1]}}));
  read_part(path, dtype, shape, first * shape[1], out);
}

Bytes SegmentReader::read(const std::string& path, DType dtype, const Shape& shape) const {
  Bytes out(static_cast<std::size_t>(byte_size({path, dtype, shape})));
  read(path, dtype, shape, out);
  return out;
}

std::vector<std::int32_t> SegmentReader::read_ints(const std::string& path, std::int64_t max_count) const {
  return within(cat(state_->path.native(), ": ", path), [&] {
    const Dataset& dataset = state_->expect_list(path, DType::kI32, max_count);
    std::vector<std::int32_t> out(static_cast<std::size_t>(dataset.shape[0]));
    state_->read(dataset, 0, std::as_writable_bytes(std::span(out)));
    return out;
  });
}

std::string SegmentReader::read_text(const std::string& path, std::int64_t max_count) const {
  return within(cat(state_->path.native(), ": ", path), [&] {
    const Dataset& dataset = state_->expect_list(path, DType::kU8, max_count);
    std::string out(static_cast<std::size_t>(dataset.shape[0]), '\0');
    state_->read(dataset, 0, std::as_writable_bytes(std::span(out)));
    return out;
  });
}

Digest SegmentReader::hash(const std::string& path) const {
  return within(cat(state_->path.native(), ": ", path), [&] { return state_->hash(state_->expect(path)); });
}

const Digest& SegmentReader::digest() const {
  return state_->content->digest();
}

std::vector<SegmentReader::Entry> SegmentReader::entries() const {
  std::vector<Entry> out;
  for (const Dataset& d : state_->datasets()) out.push_back({d.path, d.dtype, d.shape});
  return out;
}

}  // namespace aftune::trace
