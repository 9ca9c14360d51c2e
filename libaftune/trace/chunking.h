#pragma once

#include <cstdint>
#include <span>

#include "tensor/tensor.h"

namespace aftune::trace {

/// No chunk of a segment is larger; a reader refuses one that is before it takes memory.
inline constexpr std::int64_t kMaxChunkBytes = std::int64_t{1} << 20;

/// How a dataset is cut into HDF5 chunks. Chunk dimensions are 1, ..., 1, c, full, ..., full, so that every
/// chunk is one contiguous run of the dataset's elements and none has to be gathered. A last chunk along the
/// cut dimension may be short; it is stored full, padded with zeros, as HDF5 wants it.
class Chunking {
 public:
  /// About half of kMaxChunkBytes a chunk. The shape has rank >= 1 and no zero dimension.
  static Chunking choose(const Shape& shape, std::size_t element_size);
  /// For dimensions read from a file. Throws Error{kEvidence} unless they have the form above and fit.
  static Chunking checked(const Shape& shape, std::size_t element_size, const Shape& dims);

  const Shape& dims() const { return dims_; }
  std::int64_t count() const { return outer_ * pieces_; }
  std::int64_t elements() const { return cut_ * inner_; }  ///< of a full chunk

  struct Run {
    Shape offset;             ///< HDF5 coordinates of the chunk's first element
    std::int64_t first = 0;   ///< flat index of it
    std::int64_t length = 0;  ///< elements that are there; the rest of the chunk is padding
  };
  Run run(std::int64_t chunk) const;
  /// The chunk that holds the element of this flat index.
  std::int64_t chunk_of(std::int64_t element) const;

 private:
  Chunking(const Shape& shape, std::size_t dimension, std::int64_t cut);

  Shape dims_;
  std::size_t dimension_ = 0;                        // the one that is cut
  std::int64_t outer_ = 1, extent_ = 1, inner_ = 1;  // products left of it, of it, right of it
  std::int64_t cut_ = 1, pieces_ = 1;
  Shape shape_;
};

/// Byte-shuffle and zstd, as the HDF5 filters 2 and 32015 do it.
class ChunkCodec {
 public:
  /// For chunks of `elements` elements of `element_size` bytes.
  ChunkCodec(std::int64_t elements, std::size_t element_size);
  /// `run` may be shorter than a chunk; it is padded with zeros. The frame carries its content size.
  Bytes encode(ByteView run);
  /// Writes the first out.size() bytes of the chunk to `out`. Never takes more memory than a chunk, whatever
  /// the frame says. Throws Error{kEvidence}.
  void decode(ByteView frame, std::span<std::byte> out);

 private:
  std::int64_t elements_;
  std::size_t element_size_;
  Bytes plain_, shuffled_;
};

}  // namespace aftune::trace
