#include <hdf5.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>
#include <utility>

#include "base/error.h"
#include "hash/blake3_parts.h"
#include "trace/chunking.h"
#include "trace/direct_file.h"
#include "trace/segment.h"
#include "trace/segment_index.h"
#include "trace/zstd_filter.h"

namespace aftune::trace {
namespace {

constexpr unsigned kLevel = 1;
constexpr std::size_t kPieceBytes = std::size_t{4} << 20;

// The HDF5 library keeps global state and is not thread-safe in every build: one call at a time in this
// process. It also prints its error stack for each thread; our errors are one line.
class Hdf5Turn {
 public:
  Hdf5Turn() : lock_(mutex()) {
    static const bool ready = set_up();
    thread_local const bool silenced = H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr) >= 0;
    if (!silenced || !ready) fail(Fault::kSystem, "HDF5 cannot be set up");
    errno = 0;
  }

 private:
  static std::mutex& mutex() {
    static std::mutex m;
    return m;
  }
  // At exit HDF5 would flush what it could not write before, and crash on it (seen with 1.10.8 and a full
  // disk): it has nothing to do then that we want. No plugin is ever loaded into this process; the zstd
  // filter is built in.
  static bool set_up() {
    const H5Z_class2_t filter = {H5Z_CLASS_T_VERS, kZstdFilterId, 1,       1,
                                 "zstd",           nullptr,       nullptr, aftune_zstd_filter};
    return H5dont_atexit() >= 0 && H5PLset_loading_state(0) >= 0 && H5Zregister(&filter) >= 0;
  }
  std::lock_guard<std::mutex> lock_;
};

// Throws with the system's reason, which HDF5 leaves in errno, if a call returned a negative value.
template <class T>
T ok(T result, std::string_view doing) {
  if (result < 0) {
    const int code = errno;
    fail(Fault::kSystem, "HDF5: ", doing, code != 0 ? ": " : "", code != 0 ? std::strerror(code) : "");
  }
  return result;
}

// Owns one HDF5 identifier. Made, closed and used only during an Hdf5Turn.
class Handle {
 public:
  Handle(hid_t id, herr_t (*closer)(hid_t), std::string_view doing) : id_(ok(id, doing)), close_(closer) {}
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() {
    if (id_ >= 0) close_(id_);
  }
  operator hid_t() const { return id_; }  // NOLINT: it stands for the identifier it owns
  void close(std::string_view doing) { ok(close_(std::exchange(id_, -1)), doing); }

 private:
  hid_t id_;
  herr_t (*close_)(hid_t);
};

hid_t file_type(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return H5T_IEEE_F32LE;
    case DType::kI32:
      return H5T_STD_I32LE;
    case DType::kU8:
      return H5T_STD_U8LE;
    case DType::kF16:
    case DType::kBF16:
      return H5T_STD_U16LE;
    case DType::kI64:
      break;  // a segment has none
  }
  return H5I_INVALID_HID;
}

// HDF5 1.10 has no type that all of its readers know for the 16-bit floats: bits, and a name beside them.
void add_dtype_name(hid_t dataset, DType dtype) {
  const std::string text(name(dtype));
  Handle type(H5Tcopy(H5T_C_S1), H5Tclose, "make a string type");
  ok(H5Tset_size(type, text.size()), "make a string type");
  ok(H5Tset_strpad(type, H5T_STR_NULLPAD), "make a string type");
  Handle space(H5Screate(H5S_SCALAR), H5Sclose, "make a dataspace");
  Handle attribute(H5Acreate2(dataset, "dtype", type, space, H5P_DEFAULT, H5P_DEFAULT), H5Aclose,
                   "make an attribute");
  ok(H5Awrite(attribute, type, text.data()), "write an attribute");
}

hid_t make_space(const Shape& shape) {
  if (shape.empty()) return H5Screate(H5S_SCALAR);
  const std::vector<hsize_t> dims(shape.begin(), shape.end());
  return H5Screate_simple(static_cast<int>(dims.size()), dims.data(), nullptr);
}

hid_t make_properties(const Chunking* chunking) {
  const hid_t id = ok(H5Pcreate(H5P_DATASET_CREATE), "make dataset properties");
  Handle properties(id, H5Pclose, "make dataset properties");
  // No times: the file is a function of what is in it.
  ok(H5Pset_obj_track_times(properties, false), "set dataset properties");
  ok(H5Pset_fill_time(properties, H5D_FILL_TIME_NEVER), "set dataset properties");
  if (chunking == nullptr) {
    ok(H5Pset_layout(properties, H5D_CONTIGUOUS), "set dataset properties");
    ok(H5Pset_alloc_time(properties, H5D_ALLOC_TIME_EARLY), "set dataset properties");
  } else {
    const std::vector<hsize_t> dims(chunking->dims().begin(), chunking->dims().end());
    ok(H5Pset_chunk(properties, static_cast<int>(dims.size()), dims.data()), "set dataset properties");
    ok(H5Pset_shuffle(properties), "set dataset properties");
    ok(H5Pset_filter(properties, kZstdFilterId, H5Z_FLAG_MANDATORY, 1, &kLevel), "set dataset properties");
  }
  return H5Pcopy(properties);
}

hid_t make_file(const fs::path& path) {
  Handle creation(H5Pcreate(H5P_FILE_CREATE), H5Pclose, "make file properties");
  ok(H5Pset_userblock(creation, kUserBlock), "set file properties");
  return H5Fcreate(path.c_str(), H5F_ACC_TRUNC, creation, H5P_DEFAULT);
}

hid_t make_dataset(hid_t file, const DatasetEntry& entry, const Chunking* chunking) {
  Handle space(make_space(entry.shape), H5Sclose, "make a dataspace");
  Handle properties(make_properties(chunking), H5Pclose, "make dataset properties");
  Handle links(H5Pcreate(H5P_LINK_CREATE), H5Pclose, "make link properties");
  ok(H5Pset_create_intermediate_group(links, 1), "set link properties");
  return H5Dcreate2(file, entry.path.c_str(), file_type(entry.dtype), space, links, properties, H5P_DEFAULT);
}

Bytes user_block(const Digest& digest) {
  Bytes block(kUserBlock);
  const std::string text = cat(kSegmentMagic, to_hex(digest), '\n');
  std::copy_n(as_bytes(text).begin(), text.size(), block.begin());
  return block;
}

}  // namespace

struct SegmentWriter::State {
  fs::path path;
  AtomicFile file;
  DirectFile bytes;          ///< the same file: HDF5 only says where contiguous data go
  hash::Blake3Parts digest;  ///< of all from kUserBlock on
  std::map<std::string, DatasetEntry> entries;
  Bytes first_frame;  ///< the first chunk written, and the address that HDF5 said it has
  haddr_t first_address = HADDR_UNDEF;
  hid_t hdf5 = -1;

  explicit State(const fs::path& p) : path(p), file(p), bytes(file.temporary()) {
    const Hdf5Turn turn;
    hdf5 = within(path.native(), [&] { return ok(make_file(file.temporary()), "create"); });
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    if (hdf5 < 0) return;
    try {
      const Hdf5Turn turn;
      H5Fclose(hdf5);
    } catch (const Error&) {
      // Nothing was committed; the file that is left aside goes with AtomicFile.
    }
  }
  DatasetEntry& new_entry(const std::string& dataset, DType dtype, const Shape& shape);
  void write_raw(DatasetEntry& entry, const Piece& piece);
  void allocate(DatasetEntry& entry, std::size_t size);
  void write_chunks(DatasetEntry& entry, ByteView elements, ThreadPool* pool);
  void write_frame(hid_t dataset, const Chunking::Run& run, Bytes frame, DatasetEntry& entry);
  void close_hdf5();
  void settle_chunk_addresses();
  void append_index();
  Digest finish_digest() const;
};

DatasetEntry& SegmentWriter::State::new_entry(const std::string& dataset, DType dtype, const Shape& shape) {
  AFTUNE_CHECK(is_dataset_path(dataset));
  const auto [at, is_new] = entries.try_emplace(dataset, DatasetEntry{dataset, dtype, shape, {}, {}});
  AFTUNE_CHECK(is_new);
  return at->second;
}

// Where the dataset's bytes go: HDF5 gives them a place at once, and writes nothing there.
void SegmentWriter::State::allocate(DatasetEntry& entry, std::size_t size) {
  const Hdf5Turn turn;
  Handle dataset(make_dataset(hdf5, entry, nullptr), H5Dclose, "create a dataset");
  if (size_of(entry.dtype) == 2) add_dtype_name(dataset, entry.dtype);
  entry.extents = {{kUserBlock, 0}};
  if (size != 0) {
    const haddr_t offset = H5Dget_offset(dataset);
    if (offset == HADDR_UNDEF) fail(Fault::kSystem, "HDF5: a dataset without an address");
    entry.extents = {{offset, size}};
  }
  dataset.close("close a dataset");
}

void SegmentWriter::State::write_raw(DatasetEntry& entry, const Piece& piece) {
  static_assert(std::endian::native == std::endian::little, "elements are stored as they are in memory");
  const auto size = static_cast<std::size_t>(byte_size({entry.path, entry.dtype, entry.shape}));
  allocate(entry, size);
  const std::uint64_t start = entry.extents.front().offset;
  for (std::size_t from = 0; from < size; from += kPieceBytes)
    piece(from, std::min(kPieceBytes, size - from), [&](ByteView part) {
      bytes.write(start + from, part);
      digest.add(start + from - kUserBlock, part);
    });
}

// Frames are made outside HDF5, on the pool's threads, some at a time; HDF5 only stores them.
void SegmentWriter::State::write_chunks(DatasetEntry& entry, ByteView elements, ThreadPool* pool) {
  const Hdf5Turn turn;
  const std::size_t size = size_of(entry.dtype);
  const Chunking chunking = Chunking::choose(entry.shape, size);
  entry.chunk = chunking.dims();
  Handle dataset(make_dataset(hdf5, entry, &chunking), H5Dclose, "create a dataset");
  if (size == 2) add_dtype_name(dataset, entry.dtype);
  const std::int64_t at_once = pool == nullptr ? 1 : 4 * pool->threads();
  std::vector<Bytes> frames(static_cast<std::size_t>(at_once));
  for (std::int64_t first = 0; first < chunking.count(); first += at_once) {
    const std::int64_t n = std::min(at_once, chunking.count() - first);
    const auto encode = [&](std::int64_t i) {
      const Chunking::Run run = chunking.run(first + i);
      frames[static_cast<std::size_t>(i)] =
          ChunkCodec(chunking.elements(), size)
              .encode(elements.subspan(static_cast<std::size_t>(run.first) * size,
                                       static_cast<std::size_t>(run.length) * size));
    };
    pool == nullptr ? encode(0) : pool->run(n, encode);
    for (std::int64_t i = 0; i < n; ++i)
      write_frame(dataset, chunking.run(first + i), std::move(frames[static_cast<std::size_t>(i)]), entry);
  }
  dataset.close("close a dataset");
}

void SegmentWriter::State::write_frame(hid_t dataset, const Chunking::Run& run, Bytes frame,
                                       DatasetEntry& entry) {
  const std::vector<hsize_t> offset(run.offset.begin(), run.offset.end());
  ok(H5Dwrite_chunk(dataset, H5P_DEFAULT, 0, offset.data(), frame.size(), frame.data()), "write a chunk");
  unsigned mask = 0;
  haddr_t address = HADDR_UNDEF;
  hsize_t size = 0;
  ok(H5Dget_chunk_info_by_coord(dataset, offset.data(), &mask, &address, &size), "find a chunk");
  AFTUNE_CHECK(mask == 0 && size == frame.size());
  entry.extents.push_back({address, size});
  if (first_address != HADDR_UNDEF) return;
  first_address = address;
  first_frame = std::move(frame);
}

void SegmentWriter::State::close_hdf5() {
  const Hdf5Turn turn;
  ok(H5Fclose(std::exchange(hdf5, -1)), "close");
}

// HDF5 1.10 reports a chunk's address from the end of the user block, later versions from the start of the
// file. The bytes tell which.
void SegmentWriter::State::settle_chunk_addresses() {
  if (first_address == HADDR_UNDEF) return;
  const auto holds_frame = [&](std::uint64_t offset) {
    Bytes found(first_frame.size());
    return bytes.read(offset, found) == found.size() && found == first_frame;
  };
  std::uint64_t base = kUserBlock;
  if (!holds_frame(first_address + base)) base = 0;
  if (!holds_frame(first_address + base)) fail(Fault::kSystem, "HDF5: a chunk without an address");
  for (auto& [name, entry] : entries)
    if (!entry.chunk.empty())
      for (Extent& extent : entry.extents) extent.offset += base;
}

void SegmentWriter::State::append_index() {
  std::vector<DatasetEntry> list;
  for (const auto& [name, entry] : entries) list.push_back(entry);
  const std::string text = index_to_text(list);
  if (list.size() > kMaxDatasets || text.size() > kMaxIndexBytes)
    fail(Fault::kUsage, "too many tensors for one segment: use fewer steps per block");
  Bytes tail(as_bytes(text).begin(), as_bytes(text).end());
  append_le(tail, static_cast<std::uint64_t>(text.size()));
  bytes.write(bytes.size(), tail);
}

Digest SegmentWriter::State::finish_digest() const {
  return digest.finish(bytes.size() - kUserBlock, [&](std::uint64_t offset, std::span<std::byte> out) {
    if (bytes.read(kUserBlock + offset, out) != out.size())
      fail(Fault::kSystem, "read: the file got shorter");
  });
}

SegmentWriter::SegmentWriter(fs::path path) : state_(std::make_unique<State>(path)) {}
SegmentWriter::SegmentWriter(SegmentWriter&&) noexcept = default;
SegmentWriter::~SegmentWriter() = default;

void SegmentWriter::add(const std::string& path, DType dtype, const Shape& shape, ByteView bytes,
                        Packing packing, ThreadPool* pool) {
  AFTUNE_CHECK(bytes.size() == byte_size({path, dtype, shape}));
  if (packing == Packing::kRaw || shape.empty() || bytes.empty())
    return add_pieces(path, dtype, shape, [&](std::size_t from, std::size_t size, const auto& use) {
      use(bytes.subspan(from, size));
    });
  within(cat(state_->path.native(), ": ", path),
         [&] { state_->write_chunks(state_->new_entry(path, dtype, shape), bytes, pool); });
}

void SegmentWriter::add_pieces(const std::string& path, DType dtype, const Shape& shape, const Piece& piece) {
  within(cat(state_->path.native(), ": ", path),
         [&] { state_->write_raw(state_->new_entry(path, dtype, shape), piece); });
}

void SegmentWriter::commit() {
  const Digest digest = within(state_->path.native(), [&] {
    state_->close_hdf5();
    state_->settle_chunk_addresses();
    state_->append_index();
    return state_->finish_digest();
  });
  state_->file.write(user_block(digest));
  state_->file.commit();
}

void register_zstd_filter() {
  const Hdf5Turn turn;
}

}  // namespace aftune::trace
