// Segments (segment_bytes.h). The digest is always right.
#include "trace/segment.h"

#include "fuzz/json_input.h"
#include "fuzz/segment_bytes.h"

namespace aftune {
namespace {

constexpr std::uint64_t kMostBytes = std::uint64_t{4} << 20;  // what a reader here expects of a dataset

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
  const fs::path path = fuzz::file_with(fuzz::segment_of_input(fuzz::text_of(data, size)));
  fuzz::takes([&] {
    const trace::SegmentReader reader(path);
    for (const auto& entry : reader.entries()) read(reader, entry);
  });
  return 0;
}
