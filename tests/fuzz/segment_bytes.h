#pragma once

#include <string>
#include <string_view>

#include "base/files.h"
#include "trace/segment_index.h"

namespace aftune::fuzz {

/// A file of the segment form around `data`, which begins at byte trace::kUserBlock, and an index: sizes and
/// the digest are right, whatever the index says.
std::string segment_around(std::string_view data, std::string_view index);
/// A whole file whose digest is made right, as anyone can who changes it.
std::string with_right_digest(std::string file);

/// The file that an input of the segment target stands for: a whole file, or an index, a NUL and the data
/// that it speaks of.
std::string segment_of_input(std::string_view input);

/// `text` under a name of its own until the end of the process, in memory where the machine has such a
/// folder.
fs::path file_with(std::string_view text);

}  // namespace aftune::fuzz
