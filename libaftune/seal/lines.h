#pragma once

#include <cstdint>
#include <string_view>

#include "base/error.h"

namespace aftune::seal {

/// Takes LF-terminated lines off a text, one by one. What goes wrong is Error{kEvidence}, with `what` of
/// whose text it is.
class Lines {
 public:
  Lines(std::string_view text, std::string_view what) : rest_(text), what_(what) {}

  bool at_end() const { return rest_.empty(); }
  std::string_view rest() const { return rest_; }

  /// The next line without its LF.
  std::string_view next() {
    const std::size_t end = rest_.find('\n');
    if (end == rest_.npos)
      fail(Fault::kEvidence, what_, rest_.empty() ? " ends too early" : " has a torn last line");
    const std::string_view line = rest_.substr(0, end);
    rest_.remove_prefix(end + 1);
    return line;
  }

  bool next_begins_with(std::string_view prefix) const { return rest_.starts_with(prefix); }

  /// What follows "<word> " on the next line.
  std::string_view after(std::string_view word) {
    const std::string_view line = next();
    if (!line.starts_with(word) || line.substr(word.size(), 1) != " ")
      fail(Fault::kEvidence, what_, " has no \"", word, "\" line where one must be");
    return line.substr(word.size() + 1);
  }

 private:
  std::string_view rest_;
  std::string_view what_;
};

/// An unsigned number in decimal without sign or leading zero. Throws Error{kEvidence}; `what` names it.
std::uint64_t decimal_from_text(std::string_view text, std::string_view what);

}  // namespace aftune::seal
