#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"
#include "base/json.h"
#include "base/shortest.h"

namespace aftune::cli {

/// Writes to stdout and fails (Error{kSystem}) if it cannot be written and flushed.
void print(std::string_view text);
/// One line, as json_text() writes it.
void print_json(const Json& value);
using aftune::shortest;

/// Writes `text` to the file, whole or not at all, or to stdout if path is "-".
void write_output(const fs::path& path, std::string_view text);
/// Refuses (Error{kUsage}) an output file that is one of the inputs. Empty paths were not given.
void require_not_input(std::string_view flag, const fs::path& path, const std::vector<fs::path>& inputs);
/// True if stdout is a terminal that shows colours: TERM is not "dumb", and NO_COLOR is unset or empty.
bool colour_on_stdout();
/// Reads the file, or stdin if path is "-". Throws as read_file does.
std::string read_input(const fs::path& path, std::uint64_t max_bytes);

/// Prompts on the terminal without echo; Error{kUsage} if there is none. AFTUNE_PASSPHRASE_FILE names a file
/// instead, whose first line is the passphrase.
std::string ask_passphrase(std::string_view prompt);

}  // namespace aftune::cli
