#pragma once

// The contract of every tool (aftune(7)): exit 0 done or ACCEPT, 1 REJECT, 2 could not do the job, 3
// INCOMPLETE, 130 interrupted. stdout carries the result and nothing else; diagnostics are one line "tool:
// error: ..." on stderr, a bad use adds one "tool: hint: ..." line. Output appears whole or not at all. A
// flag means the same in every tool.

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/files.h"
#include "base/json.h"

namespace aftune::cli {

enum class Exit : int { kDone = 0, kReject = 1, kFailed = 2, kIncomplete = 3, kInterrupted = 130 };

// Flags that several tools share, each declared once.
void model(CLI::App& app, fs::path& to);
void data(CLI::App& app, fs::path& to);
void trace(CLI::App& app, fs::path& to);
void out(CLI::App& app, fs::path& to, const std::string& what);
void key(CLI::App& app, fs::path& to);
void pubkey(CLI::App& app, fs::path& to);
void challenge(CLI::App& app, fs::path& to);
void policy(CLI::App& app, fs::path& to);
void checkpoint(CLI::App& app, fs::path& to);
void challenge_seed(CLI::App& app, std::string& to);
void json(CLI::App& app, bool& to);
void quiet(CLI::App& app, bool& to);
void verbose(CLI::App& app, bool& to);
void threads(CLI::App& app, int& to);
void device(CLI::App& app, std::string& to);

/// Parses `text` fully as a decimal; Error{kUsage} naming the flag otherwise.
double parse_real(std::string_view flag, std::string_view text);
std::int64_t parse_integer(std::string_view flag, std::string_view text);

/// Writes to stdout and fails (Error{kSystem}) if it cannot be written and flushed.
void print(std::string_view text);
void print_json(const Json& value);  ///< one line

/// Writes `text` to the file, or to stdout if path is "-".
void write_output(const fs::path& path, std::string_view text);
/// Reads the file, or stdin if path is "-".
std::string read_input(const fs::path& path, std::uint64_t max_bytes);
/// Prompts on the terminal without echo; Error{kUsage} if there is none. AFTUNE_PASSPHRASE_FILE names a file
/// instead.
std::string ask_passphrase(std::string_view prompt);

/// The one way a tool starts: declares flags, parses, runs, prints any Error once, maps it to the exit code.
int run_tool(const char* tool, const char* summary, int argc, char** argv,
             const std::function<void(CLI::App&)>& flags, const std::function<Exit()>& body);

template <class Args>
int run(const char* tool, const char* summary, void (*flags)(CLI::App&, Args&), Exit (*body)(const Args&),
        int argc, char** argv) {
  Args args;
  return run_tool(
      tool, summary, argc, argv, [&](CLI::App& app) { flags(app, args); }, [&] { return body(args); });
}

}  // namespace aftune::cli
