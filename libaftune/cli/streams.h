#pragma once

#include <string>
#include <string_view>

#include "base/files.h"
#include "base/json.h"

namespace aftune::cli {

/// Writes to stdout and fails (Error{kSystem}) if it cannot be written and flushed.
void print(std::string_view text);
/// One line. Reals are written as the shortest decimal that reads back as the same binary64.
void print_json(const Json& value);
std::string json_text(const Json& value);
/// A binary32 as the binary64 whose shortest decimal is that of the binary32: 0.1f is printed as 0.1.
double shortest(float value);

/// Writes `text` to the file, whole or not at all, or to stdout if path is "-".
void write_output(const fs::path& path, std::string_view text);
/// Reads the file, or stdin if path is "-". Throws as read_file does.
std::string read_input(const fs::path& path, std::uint64_t max_bytes);

/// Prompts on the terminal without echo; Error{kUsage} if there is none. AFTUNE_PASSPHRASE_FILE names a file
/// instead, whose first line is the passphrase.
std::string ask_passphrase(std::string_view prompt);

}  // namespace aftune::cli
