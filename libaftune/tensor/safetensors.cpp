#include "tensor/safetensors.h"

#include <algorithm>
#include <tuple>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/json.h"

namespace aftune {
namespace {

constexpr std::uint64_t kMaxHeader = 100'000'000;  // the official reader's limit
// The largest models have some hundred tensors in a file. A parsed header takes many times the memory of its
// text if it is all brackets and commas, so what is in it is counted while it is parsed.
constexpr std::size_t kMaxTensors = 100'000;
constexpr std::size_t kMaxValues = 12 * kMaxTensors;  // nine and one a dimension

struct Extent {
  std::uint64_t begin, end;
  std::string name;
};

std::uint64_t offset(const Json& value, const std::string& name) {
  if (!value.is_number_unsigned())
    fail(Fault::kEvidence, '"', name, "\": a data offset is not a whole number");
  return value.get<std::uint64_t>();
}

TensorSpec read_spec(const std::string& name, const Json& entry) {
  Fields fields(entry, cat('"', name, '"'));
  TensorSpec spec{name, dtype_from_name(fields.text("dtype", 32)), {}};
  for (const Json& dim : fields.array("shape")) {
    if (!dim.is_number_unsigned() || dim.get<std::uint64_t>() > static_cast<std::uint64_t>(kMaxJsonInteger))
      fail(Fault::kEvidence, '"', name, "\": a dimension is not a whole number within 2^53");
    spec.shape.push_back(dim.get<std::int64_t>());
  }
  if (spec.shape.size() > 16) fail(Fault::kEvidence, '"', name, "\": more than 16 dimensions");
  fields.array("data_offsets");
  fields.done();
  return spec;
}

// The entries, ordered by their offsets, must tile the data exactly: no hole, no overlap, nothing left over.
void check_tiling(std::vector<Extent> extents, std::uint64_t data_bytes) {
  std::sort(extents.begin(), extents.end(), [](const Extent& a, const Extent& b) {
    return std::tie(a.begin, a.end) < std::tie(b.begin, b.end);
  });
  std::uint64_t at = 0;
  for (const Extent& e : extents) {
    if (e.begin != at) fail(Fault::kEvidence, '"', e.name, "\": data begins at ", e.begin, ", expected ", at);
    at = e.end;
  }
  if (at != data_bytes) fail(Fault::kEvidence, "tensors end at ", at, " of ", data_bytes, " bytes of data");
}

void check_metadata(const Json& metadata) {
  if (!metadata.is_object()) fail(Fault::kEvidence, "\"__metadata__\" is not an object");
  for (const auto& [key, value] : metadata.items())
    if (!value.is_string()) fail(Fault::kEvidence, "\"__metadata__\": \"", key, "\" is not a string");
}

SafetensorsEntry read_entry(const std::string& name, const Json& json, ByteView data, Extent& extent) {
  SafetensorsEntry entry{read_spec(name, json), {}};
  const Json& offsets = json["data_offsets"];
  if (offsets.size() != 2) fail(Fault::kEvidence, '"', name, "\": \"data_offsets\" is not a pair");
  extent = {offset(offsets[0], name), offset(offsets[1], name), name};
  if (extent.begin > extent.end || extent.end > data.size())
    fail(Fault::kEvidence, '"', name, "\": data_offsets outside the file");
  if (const std::uint64_t expected = byte_size(entry.spec); extent.end - extent.begin != expected)
    fail(Fault::kEvidence, describe(entry.spec), ": ", extent.end - extent.begin, " bytes, expected ",
         expected);
  entry.bytes = data.subspan(extent.begin, extent.end - extent.begin);
  return entry;
}

Json parse_header(std::string_view text) {
  if (!text.starts_with('{')) fail(Fault::kEvidence, "header does not begin with '{'");
  Json json = parse_json(text, {.max_bytes = kMaxHeader, .max_depth = 4, .max_values = kMaxValues});
  if (json.size() > kMaxTensors) fail(Fault::kEvidence, "more than ", kMaxTensors, " tensors");
  return json;
}

}  // namespace

std::map<std::string, SafetensorsEntry> parse_safetensors(ByteView file) {
  if (file.size() < 8) fail(Fault::kEvidence, "not a safetensors file: only ", file.size(), " bytes");
  const auto header = load_le<std::uint64_t>(file.data());
  if (header > kMaxHeader) fail(Fault::kEvidence, "header of ", header, " bytes is larger than ", kMaxHeader);
  if (header > file.size() - 8) fail(Fault::kEvidence, "header of ", header, " bytes does not fit the file");
  const Json json = parse_header(as_text(file.subspan(8, header)));
  const ByteView data = file.subspan(8 + header);
  std::map<std::string, SafetensorsEntry> entries;
  std::vector<Extent> extents;
  for (const auto& [name, entry] : json.items()) {
    if (name == "__metadata__") {
      check_metadata(entry);
      continue;
    }
    Extent& extent = extents.emplace_back();
    entries.emplace(name, read_entry(name, entry, data, extent));
  }
  check_tiling(std::move(extents), data.size());
  return entries;
}

}  // namespace aftune
