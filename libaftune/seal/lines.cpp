#include "seal/lines.h"

#include <charconv>

namespace aftune::seal {

std::uint64_t decimal_from_text(std::string_view text, std::string_view what) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool leading_zero = text.size() > 1 && text[0] == '0';
  if (error != std::errc{} || end != text.data() + text.size() || leading_zero)
    fail(Fault::kEvidence, what, " is not a decimal number without leading zeros");
  return value;
}

}  // namespace aftune::seal
