// Headers of model.safetensors. An input that begins with '{' is the header's text; its size is put before
// it.
#include "fuzz/json_input.h"
#include "model/folder.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, unsigned long size) {
  using namespace aftune;
  std::string file(fuzz::text_of(data, size));
  if (file.starts_with('{')) {
    const std::size_t header = std::min(file.size(), file.find('\0'));
    Bytes length;
    append_le(length, std::uint64_t{header});
    file = std::string(as_text(length)) + file.substr(0, header) +
           file.substr(std::min(file.size(), header + 1));
  }
  fuzz::takes([&] {
    std::uint64_t bytes = 0;
    for (const auto& [name, entry] : parse_safetensors(as_bytes(file))) {
      AFTUNE_CHECK(entry.spec.name == name && entry.bytes.size() == byte_size(entry.spec));
      AFTUNE_CHECK(static_cast<std::uint64_t>(element_count(entry.spec.shape)) <= entry.bytes.size());
      bytes += entry.bytes.size();
    }
    AFTUNE_CHECK(bytes <= file.size());
  });
  return 0;
}
