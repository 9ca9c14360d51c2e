#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tensor/tensor.h"
#include "trace/segment_content.h"

namespace aftune::trace {

/// The frame around the HDF5 part of a segment file (docs/trace.md, "Segments"):
///
///   [0, 512)   user block: kSegmentMagic, 64 hex digits of BLAKE3 of all bytes from 512 on, LF, zeros
///   [512, i)   HDF5
///   [i, n - 8) the index: canonical JSON, one entry a dataset, sorted by path
///   [n - 8, n) the index's size, u64 little-endian
///
/// HDF5 programs ignore what follows their part. Our reader uses the index alone and never gives bytes that
/// somebody else wrote to the HDF5 library, which was not made for hostile files.
inline constexpr std::string_view kSegmentMagic = "aftune-segment/1\n";
inline constexpr std::uint64_t kUserBlock = 512;
inline constexpr std::size_t kMaxIndexBytes = std::size_t{16} << 20;
inline constexpr std::size_t kMaxDatasets = 1'000'000;

/// Where the bytes of one dataset lie, from the start of the file.
struct Extent {
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
};

struct DatasetEntry {
  std::string path;
  DType dtype = DType::kF32;
  Shape shape;
  Shape chunk;                  ///< empty: contiguous
  std::vector<Extent> extents;  ///< one; or one a chunk, in order
};

/// What is left of an entry for those who do not read the file.
Dataset dataset_of(const DatasetEntry& entry);

std::string index_to_text(const std::vector<DatasetEntry>& entries);
/// Checks everything that does not need the data: order, sizes, counts, extents disjoint and inside
/// [kUserBlock, end). Throws Error{kEvidence}.
std::vector<DatasetEntry> index_from_text(std::string_view text, std::uint64_t end);

/// A dataset path is "/" and parts joined by "/", each of printable ASCII, none empty, "." or "..".
bool is_dataset_path(std::string_view path);

}  // namespace aftune::trace
