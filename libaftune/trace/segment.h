#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/files.h"
#include "tensor/tensor.h"

namespace aftune::trace {

enum class Packing {
  kRaw,   ///< contiguous: float snapshots, which compress by 1.15 at best
  kZstd,  ///< chunked, byte-shuffled, zstd (registered HDF5 filter 32015): token data, and all with
          ///< --compress
};

/// Writes one HDF5 segment file: aside, fsynced, renamed. The file begins with a 512-byte HDF5 user block
/// that holds "aftune-segment/1\n<64 hex BLAKE3 of all bytes from 512 on>\n" and zeros: no bit of a segment
/// is outside some digest. (Integrity of the file only: what its tensors must be is said by the log.)
/// After HDF5's part comes an index of where each dataset lies (docs/trace.md, "Segments").
class SegmentWriter {
 public:
  explicit SegmentWriter(fs::path path);
  SegmentWriter(SegmentWriter&&) noexcept;
  ~SegmentWriter();

  /// Adds the dataset `path` ("/steps/12/tokens"); intermediate groups are made. bytes.size() must be
  /// byte_size(dtype, shape). F16 and BF16 are stored as 16-bit unsigned with an attribute "dtype".
  void add(const std::string& path, DType dtype, const Shape& shape, ByteView bytes, Packing packing,
           ThreadPool* pool = nullptr);
  /// Calls `use` once, with bytes [from, from + size) of a dataset.
  using Piece =
      std::function<void(std::size_t from, std::size_t size, const std::function<void(ByteView)>& use)>;
  /// Adds a contiguous dataset (Packing::kRaw) whose bytes are asked for in order, a few MiB at a time.
  void add_pieces(const std::string& path, DType dtype, const Shape& shape, const Piece& piece);
  void commit();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Who wrote a file that is read.
enum class Origin {
  kOwn,      ///< whoever runs this program: read in this process
  kForeign,  ///< somebody else: parsed in a process of its own, locked down (docs/architecture.md)
};

/// What is read of a file when it is opened.
enum class Scan {
  kWhole,  ///< all: its bytes must have the digest that it states
  kParts,  ///< its index, for who compares all that is read later with a digest of its own
};

/// Reads a segment by its index, without the HDF5 library, which was not made for hostile files. Every method
/// throws Error{kEvidence} if the file is absent or not what SegmentWriter writes: the caller says which
/// dataset, type and shape it expects, and nothing in the file can make it take more memory than that, a
/// chunk and the index. Tensors are read from the file when asked for; whoever uses them hashes what it got.
/// Const methods may be called from several threads.
class SegmentReader {
 public:
  /// Opens the file without following links and, unless only parts are scanned, checks the user block's
  /// digest over the whole file. The origin changes no answer; a foreign file whose reading ends its process
  /// is Error{kEvidence}.
  explicit SegmentReader(const fs::path& path, Origin origin = Origin::kOwn, Scan scan = Scan::kWhole);
  SegmentReader(SegmentReader&&) noexcept;
  ~SegmentReader();

  bool has(const std::string& path) const;
  void read(const std::string& path, DType dtype, const Shape& shape, std::span<std::byte> out) const;
  Bytes read(const std::string& path, DType dtype, const Shape& shape) const;
  /// Elements from `first` on, as many as fill `out`; `shape` is the whole tensor's.
  void read_part(const std::string& path, DType dtype, const Shape& shape, std::int64_t first,
                 std::span<std::byte> out) const;
  /// Rows [first, first + rows) of a matrix; `shape` is the whole one's.
  void read_rows(const std::string& path, DType dtype, const Shape& shape, std::int64_t first,
                 std::int64_t rows, std::span<std::byte> out) const;
  /// A one-dimensional I32 dataset of unknown length, at most `max_count` elements. One that takes more than
  /// 16 MiB and 1024 times its bytes in the file is refused: nobody's data is so even.
  std::vector<std::int32_t> read_ints(const std::string& path, std::int64_t max_count) const;
  /// A one-dimensional U8 dataset of unknown length, at most `max_count` bytes.
  std::string read_text(const std::string& path, std::int64_t max_count) const;
  /// BLAKE3 of a dataset of any type and shape, read by chunks; of one that may be of unknown size, as below.
  Digest hash(const std::string& path) const;
  /// BLAKE3 of all bytes after the user block, which states it. Only after a scan of the whole.
  const Digest& digest() const;
  struct Entry {
    std::string path;
    DType dtype;
    Shape shape;
  };
  /// Every dataset, sorted by path; at most 1,000,000.
  std::vector<Entry> entries() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Makes the zstd filter known to the HDF5 library in this process. SegmentWriter calls it.
void register_zstd_filter();

}  // namespace aftune::trace
