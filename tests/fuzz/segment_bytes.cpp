#include "fuzz/segment_bytes.h"

#include <unistd.h>

#include <fstream>

#include "base/error.h"
#include "fuzz/json_input.h"
#include "hash/blake3.h"

namespace aftune::fuzz {

std::string with_right_digest(std::string file) {
  if (file.size() < trace::kUserBlock) return file;
  const Digest digest = hash::blake3(std::string_view(file).substr(trace::kUserBlock));
  return file.replace(trace::kSegmentMagic.size(), 64, to_hex(digest));
}

std::string segment_around(std::string_view data, std::string_view index) {
  std::string file(trace::kSegmentMagic);
  file += std::string(64, '0') + '\n';
  file.resize(trace::kUserBlock, '\0');
  Bytes length;
  append_le(length, std::uint64_t{index.size()});
  file.append(data).append(index).append(as_text(length));
  return with_right_digest(std::move(file));
}

std::string segment_of_input(std::string_view input) {
  if (input.starts_with(trace::kSegmentMagic)) return with_right_digest(std::string(input));
  const std::size_t end = input.find('\0');
  const std::string_view data = end == input.npos ? std::string_view() : input.substr(end + 1);
  return segment_around(data, canonical_or_same(input.substr(0, end)));
}

fs::path file_with(std::string_view text) {
  struct Name {
    fs::path path = (fs::is_directory("/dev/shm") ? fs::path("/dev/shm") : fs::temp_directory_path()) /
                    cat("aftune-fuzz-", ::getpid());
    ~Name() { ::unlink(path.c_str()); }
  };
  static const Name name;
  std::ofstream(name.path, std::ios::binary).write(text.data(), static_cast<std::streamsize>(text.size()));
  return name.path;
}

}  // namespace aftune::fuzz
