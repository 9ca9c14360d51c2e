#pragma once

#include <string>
#include <string_view>

namespace aftune::report {

/// Foreign text as character data or as a quoted attribute of XML 1.0 and of HTML: visible() of it, with & <
/// > " ' as references. Line ends become U+FFFD too.
std::string escaped(std::string_view text);

}  // namespace aftune::report
