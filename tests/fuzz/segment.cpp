// Segments: a whole file, or an index, a NUL and the data that it speaks of. The digest is always right.
#include "trace/segment.h"

#include "fuzz/json_input.h"
#include "fuzz/segment_bytes.h"

namespace aftune {
namespace {

constexpr std::uint64_t kMostBytes = std::uint64_t{4} << 20;  // what a reader here expects of a dataset

std::string file_of(std::string_view input) {
  if (input.starts_with(trace::kSegmentMagic)) return fuzz::with_right_digest(std::string(input));
  const std::size_t end = input.find('\0');
  const std::string_view data = end == input.npos ? std::string_view() : input.substr(end + 1);
  return fuzz::segment_around(data, fuzz::canonical_or_same(input.substr(0, end)));
}

void read(const trace::SegmentReader& reader, const trace::SegmentReader::Entry& entry) {
  AFTUNE_CHECK(reader.has(entry.path));
  fuzz::takes([&] { reader.read_ints(entry.path, 1000); });
  fuzz::takes([&] { reader.read_text(entry.path, 1000); });
  const std::uint64_t bytes = byte_size({entry.path, entry.dtype, entry.shape});
  if (bytes > kMostBytes) return;
  fuzz::takes([&] { AFTUNE_CHECK(reader.read(entry.path, entry.dtype, entry.shape).size() == bytes); });
  if (entry.shape.size() != 2 || entry.shape[0] < 2) return;
  Bytes row(bytes / static_cast<std::uint64_t>(entry.shape[0]));
  fuzz::takes([&] { reader.read_rows(entry.path, entry.dtype, entry.shape, entry.shape[0] - 1, 1, row); });
}

}  // namespace
}  // namespace aftune

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, unsigned long size) {
  using namespace aftune;
  const fs::path path = fuzz::file_with(file_of(fuzz::text_of(data, size)));
  fuzz::takes([&] {
    const trace::SegmentReader reader(path);
    for (const auto& entry : reader.entries()) read(reader, entry);
  });
  return 0;
}
