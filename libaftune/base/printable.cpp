#include "base/printable.h"

namespace aftune {

std::string printable(std::string_view text) {
  constexpr std::size_t kMost = 60;
  std::string out(text.substr(0, kMost));
  for (char& c : out)
    if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7f) c = '?';
  return text.size() > kMost ? out + "..." : out;
}

}  // namespace aftune
