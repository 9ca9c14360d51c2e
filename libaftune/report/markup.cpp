#include "report/markup.h"

#include "base/printable.h"

namespace aftune::report {
namespace {

std::string_view reference(char c) {
  switch (c) {
    case '&':
      return "&amp;";
    case '<':
      return "&lt;";
    case '>':
      return "&gt;";  // everywhere, so that "]]>" cannot be left
    case '"':
      return "&quot;";
    case '\'':
      return "&#39;";
    default:
      return {};
  }
}

}  // namespace

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : visible(text)) {
    if (const std::string_view r = reference(c); !r.empty())
      out += r;
    else
      out += c;
  }
  return out;
}

}  // namespace aftune::report
