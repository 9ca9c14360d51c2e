#include <algorithm>

#include "base/error.h"
#include "base/json.h"
#include "hash/blake3.h"
#include "model/folder.h"

namespace aftune::model {
namespace {

// The official writer's order: element types of wider alignment first, then names.
int alignment_rank(DType dtype) {
  switch (dtype) {
    case DType::kI64:
      return 0;
    case DType::kF32:
      return 1;
    case DType::kI32:
      return 2;
    case DType::kBF16:
      return 3;
    case DType::kF16:
      return 4;
    case DType::kU8:
      break;
  }
  return 5;
}

std::string make_header(const std::vector<TensorSpec>& specs) {
  // Written by hand because the official order is not JSON's sorted order.
  std::string text = R"({"__metadata__":{"format":"pt"})";
  std::uint64_t at = 0;
  for (const TensorSpec& spec : specs) {
    const std::uint64_t end = at + byte_size(spec);
    text += cat(',', Json(spec.name).dump(), R"(:{"dtype":")", name(spec.dtype), R"(","shape":)",
                Json(spec.shape).dump(), R"(,"data_offsets":[)", at, ',', end, "]}");
    at = end;
  }
  text += '}';
  text.append((8 - text.size() % 8) % 8, ' ');
  return text;
}

}  // namespace

Digest write_safetensors(const fs::path& path, std::vector<TensorSpec> specs,
                         const std::function<ByteView(const TensorSpec&)>& bytes_of) {
  std::sort(specs.begin(), specs.end(), [](const TensorSpec& a, const TensorSpec& b) {
    return std::pair(alignment_rank(a.dtype), a.name) < std::pair(alignment_rank(b.dtype), b.name);
  });
  AtomicFile file(path);
  hash::Blake3 digest;
  const auto put = [&](ByteView bytes) {
    file.write(bytes);
    digest.update(bytes);
  };
  const std::string header = make_header(specs);
  Bytes size;
  append_le(size, static_cast<std::uint64_t>(header.size()));
  put(size);
  put(as_bytes(header));
  for (const TensorSpec& spec : specs) {
    const ByteView bytes = bytes_of(spec);
    AFTUNE_CHECK(bytes.size() == byte_size(spec));
    put(bytes);
  }
  file.commit();
  return digest.finish();
}

}  // namespace aftune::model
