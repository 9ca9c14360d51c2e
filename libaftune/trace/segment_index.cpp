#include "trace/segment_index.h"

#include <algorithm>

#include "base/error.h"
#include "base/json.h"
#include "trace/chunking.h"

namespace aftune::trace {
namespace {

constexpr std::size_t kMaxRank = 8;
// Three of an extent and some ten of a dataset: the index of 100 GB in chunks.
constexpr std::size_t kMaxValues = std::size_t{1} << 20;

Json entry_json(const DatasetEntry& e) {
  Json extents = Json::array();
  for (const Extent& x : e.extents) extents.push_back({x.offset, x.size});
  return {{"chunk", e.chunk},
          {"dtype", name(e.dtype)},
          {"extents", extents},
          {"path", e.path},
          {"shape", e.shape}};
}

std::int64_t count_of(const Json& item) {
  if (!item.is_number_unsigned() || item.get<std::uint64_t>() > static_cast<std::uint64_t>(kMaxJsonInteger))
    fail(Fault::kEvidence, "expected a count");
  return item.get<std::int64_t>();
}

Shape read_shape(const Json& list) {
  if (list.size() > kMaxRank) fail(Fault::kEvidence, "more than ", kMaxRank, " dimensions");
  Shape shape;
  for (const Json& item : list) shape.push_back(count_of(item));
  element_count(shape);  // refuses a product that overflows
  return shape;
}

std::vector<Extent> read_extents(const Json& list, std::uint64_t end) {
  std::vector<Extent> extents;
  extents.reserve(list.size());
  for (const Json& item : list) {
    if (!item.is_array() || item.size() != 2) fail(Fault::kEvidence, "an extent is [offset, size]");
    const Extent x{static_cast<std::uint64_t>(count_of(item[0])),
                   static_cast<std::uint64_t>(count_of(item[1]))};
    if (x.offset < kUserBlock || x.offset > end || x.size > end - x.offset)
      fail(Fault::kEvidence, "an extent outside the file");
    extents.push_back(x);
  }
  return extents;
}

void check_extents(const DatasetEntry& e) {
  if (e.chunk.empty()) {
    if (e.extents.size() != 1 || e.extents[0].size != byte_size({e.path, e.dtype, e.shape}))
      fail(Fault::kEvidence, "an extent that does not fit the shape");
    return;
  }
  const Chunking chunking = Chunking::checked(e.shape, size_of(e.dtype), e.chunk);
  if (static_cast<std::int64_t>(e.extents.size()) != chunking.count())
    fail(Fault::kEvidence, e.extents.size(), " chunks instead of ", chunking.count());
}

DatasetEntry read_entry(const Json& json, std::uint64_t end) {
  Fields fields(json, "dataset");
  DatasetEntry e;
  e.path = fields.text("path", 4096);
  if (!is_dataset_path(e.path)) fail(Fault::kEvidence, "a path that is not plain");
  within(e.path, [&] {
    e.dtype = dtype_from_name(fields.text("dtype", 16));
    if (e.dtype == DType::kI64) fail(Fault::kEvidence, "element type I64, which a segment has not");
    e.shape = read_shape(fields.array("shape"));
    e.chunk = read_shape(fields.array("chunk"));
    e.extents = read_extents(fields.array("extents"), end);
    fields.done();
    check_extents(e);
  });
  return e;
}

// What the file's bytes hold must not be more than they are: one chunk that stands for a million is a bomb.
void check_disjoint(const std::vector<DatasetEntry>& entries) {
  std::vector<Extent> all;
  for (const DatasetEntry& e : entries)
    std::copy_if(e.extents.begin(), e.extents.end(), std::back_inserter(all),
                 [](const Extent& x) { return x.size > 0; });
  std::sort(all.begin(), all.end(), [](const Extent& a, const Extent& b) { return a.offset < b.offset; });
  for (std::size_t i = 1; i < all.size(); ++i)
    if (all[i].offset - all[i - 1].offset < all[i - 1].size)
      fail(Fault::kEvidence, "extents that overlap, at byte ", all[i].offset);
}

}  // namespace

Dataset dataset_of(const DatasetEntry& entry) {
  Dataset d{entry.path, entry.dtype, entry.shape, 0};
  for (const Extent& extent : entry.extents) d.stored += extent.size;
  return d;
}

std::string index_to_text(const std::vector<DatasetEntry>& entries) {
  Json list = Json::array();
  for (const DatasetEntry& e : entries) list.push_back(entry_json(e));
  return canonical_json(list);
}

std::vector<DatasetEntry> index_from_text(std::string_view text, std::uint64_t end) {
  const Json list =
      parse_canonical(text, {.max_bytes = kMaxIndexBytes, .max_depth = 4, .max_values = kMaxValues});
  if (!list.is_array() || list.size() > kMaxDatasets)
    fail(Fault::kEvidence, "not a list of at most ", kMaxDatasets, " datasets");
  std::vector<DatasetEntry> entries;
  entries.reserve(list.size());
  for (const Json& item : list) {
    entries.push_back(read_entry(item, end));
    if (entries.size() > 1 && entries[entries.size() - 2].path >= entries.back().path)
      fail(Fault::kEvidence, entries.back().path, ": out of order");
  }
  check_disjoint(entries);
  return entries;
}

bool is_dataset_path(std::string_view path) {
  if (path.size() < 2 || path.front() != '/') return false;
  while (!path.empty()) {
    path.remove_prefix(1);
    const std::string_view part = path.substr(0, path.find('/'));
    if (part.empty() || part == "." || part == "..") return false;
    for (const char c : part)
      if (c <= ' ' || c > '~') return false;
    path.remove_prefix(part.size());
  }
  return true;
}

}  // namespace aftune::trace
