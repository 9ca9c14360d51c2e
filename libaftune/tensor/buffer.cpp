#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "base/error.h"
#include "tensor/block_cache.h"
#include "tensor/tensor.h"

namespace aftune {
namespace {

constexpr std::align_val_t kAlignment{64};

// AddressSanitizer must see every block end and every use after free, so there nothing is kept.
#if defined(__SANITIZE_ADDRESS__)
constexpr bool kKeepsBlocks = false;
#else
constexpr bool kKeepsBlocks = true;
#endif

// A device reaches its own blocks only, however small a buffer is.
bool is_kept(std::size_t bytes) {
  return tensor::block_cache().is_accelerated() || (kKeepsBlocks && bytes >= tensor::BlockCache::kLeast);
}

std::size_t block_bytes(std::size_t bytes) {
  return std::max(bytes, tensor::BlockCache::kLeast);
}

float* allocate(std::int64_t count) {
  AFTUNE_CHECK(count >= 0 && count < std::int64_t{1} << 60);
  const auto bytes = static_cast<std::size_t>(count) * sizeof(float);
  if (bytes == 0) return nullptr;
  void* block = is_kept(bytes) ? tensor::block_cache().take(block_bytes(bytes))
                               : ::operator new(bytes, kAlignment, std::nothrow);
  if (block == nullptr) fail(Fault::kSystem, "no memory for a buffer of ", bytes, " bytes");
  return static_cast<float*>(block);
}

void release(float* data, std::int64_t count) {
  const auto bytes = static_cast<std::size_t>(count) * sizeof(float);
  if (data == nullptr) return;
  if (is_kept(bytes))
    tensor::block_cache().give(data, block_bytes(bytes));
  else
    ::operator delete(data, kAlignment);
}

/// body(from, size) for pieces of `bytes` bytes that are worth a thread's while.
template <class Body>
void each_piece(ThreadPool& pool, std::size_t bytes, const Body& body) {
  constexpr std::size_t kPiece = std::size_t{1} << 20;
  pool.run(static_cast<std::int64_t>((bytes + kPiece - 1) / kPiece), [&](std::int64_t i) {
    const std::size_t from = static_cast<std::size_t>(i) * kPiece;
    body(from, std::min(kPiece, bytes - from));
  });
}

}  // namespace

Buffer::Buffer(std::int64_t count) : data_(allocate(count)), size_(count) {}

Buffer Buffer::zeros(std::int64_t count) {
  Buffer out(count);
  if (!out.empty()) std::memset(out.data_, 0, out.bytes().size());
  return out;
}

Buffer::Buffer(Buffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  if (this != &other) {
    release(data_, size_);
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
  }
  return *this;
}

Buffer::~Buffer() {
  release(data_, size_);
}

Buffer Buffer::clone() const {
  Buffer out(size_);
  if (!empty()) std::memcpy(out.data_, data_, bytes().size());
  return out;
}

Buffer Buffer::clone(ThreadPool& pool) const {
  Buffer out(size_);
  if (Accelerator* const device = pool.accelerator()) {
    device->copy(out.mutable_bytes().data(), bytes().data(), bytes().size());
    return out;
  }
  each_piece(pool, bytes().size(), [&](std::size_t from, std::size_t size) {
    std::memcpy(out.mutable_bytes().data() + from, bytes().data() + from, size);
  });
  return out;
}

void Buffer::clear(ThreadPool& pool) {
  if (Accelerator* const device = pool.accelerator())
    return device->clear(mutable_bytes().data(), bytes().size());
  each_piece(pool, bytes().size(), [&](std::size_t from, std::size_t size) {
    std::memset(mutable_bytes().data() + from, 0, size);
  });
}

void copy(ThreadPool& pool, std::int64_t count, const float* from, float* to) {
  if (count == 0) return;
  const auto bytes = static_cast<std::size_t>(count) * sizeof(float);
  if (Accelerator* const device = pool.accelerator())
    device->copy(reinterpret_cast<std::byte*>(to), reinterpret_cast<const std::byte*>(from), bytes);
  else
    std::memcpy(to, from, bytes);
}

void drop_kept_buffers() {
  tensor::block_cache().drop();
}

void use_memory_of(Accelerator* accelerator) {
  tensor::block_cache().use_memory_of(accelerator);
}

}  // namespace aftune
