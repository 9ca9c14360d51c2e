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

bool is_kept(std::size_t bytes) {
  return kKeepsBlocks && bytes >= tensor::BlockCache::kLeast;
}

float* allocate(std::int64_t count) {
  AFTUNE_CHECK(count >= 0 && count < std::int64_t{1} << 60);
  const auto bytes = static_cast<std::size_t>(count) * sizeof(float);
  if (bytes == 0) return nullptr;
  void* block =
      is_kept(bytes) ? tensor::block_cache().take(bytes) : ::operator new(bytes, kAlignment, std::nothrow);
  if (block == nullptr) fail(Fault::kSystem, "no memory for a buffer of ", bytes, " bytes");
  return static_cast<float*>(block);
}

void release(float* data, std::int64_t count) {
  const auto bytes = static_cast<std::size_t>(count) * sizeof(float);
  if (data == nullptr) return;
  if (is_kept(bytes))
    tensor::block_cache().give(data, bytes);
  else
    ::operator delete(data, kAlignment);
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

void drop_kept_buffers() {
  tensor::block_cache().drop();
}

}  // namespace aftune
