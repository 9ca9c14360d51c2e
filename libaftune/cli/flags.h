#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"

namespace aftune::cli {

// Declaring a flag. `metavar` names its value in help and manual. Numbers are parsed whole and checked
// against [least, most]; a default that lies inside is shown in help. Returns CLI11's option, for
// ->required() and
// ->group().
CLI::Option* toggle(CLI::App& app, const std::string& flag, bool& to, const std::string& what);
CLI::Option* text(CLI::App& app, const std::string& flag, const std::string& metavar, std::string& to,
                  const std::string& what);
CLI::Option* path(CLI::App& app, const std::string& flag, const std::string& metavar, fs::path& to,
                  const std::string& what);
/// One or more, up to the next flag.
CLI::Option* paths(CLI::App& app, const std::string& flag, const std::string& metavar,
                   std::vector<fs::path>& to, const std::string& what);
CLI::Option* choice(CLI::App& app, const std::string& flag, std::initializer_list<std::string_view> names,
                    std::string& to, const std::string& what);
CLI::Option* integer(CLI::App& app, const std::string& flag, std::int64_t& to, const std::string& what,
                     std::int64_t least, std::int64_t most);
CLI::Option* integer(CLI::App& app, const std::string& flag, int& to, const std::string& what, int least,
                     int most);
CLI::Option* word64(CLI::App& app, const std::string& flag, std::uint64_t& to, const std::string& what);
CLI::Option* real(CLI::App& app, const std::string& flag, double& to, const std::string& what, double least,
                  double most);
/// A byte count with an optional suffix K, M, G or T (powers of 1024).
CLI::Option* size(CLI::App& app, const std::string& flag, std::uint64_t& to, const std::string& what);
/// `bytes` bytes as lower-case hex digits; 0 for any number.
CLI::Option* hex(CLI::App& app, const std::string& flag, std::string& to, std::size_t bytes,
                 const std::string& what);

// Flags that several tools share, each declared once.
CLI::Option* model(CLI::App& app, fs::path& to);
CLI::Option* data(CLI::App& app, fs::path& to);
CLI::Option* trace(CLI::App& app, fs::path& to);
CLI::Option* out(CLI::App& app, fs::path& to, const std::string& metavar, const std::string& what);
CLI::Option* key(CLI::App& app, fs::path& to);
CLI::Option* pubkey(CLI::App& app, fs::path& to);
CLI::Option* challenge(CLI::App& app, fs::path& to);
CLI::Option* policy(CLI::App& app, fs::path& to);
CLI::Option* checkpoint(CLI::App& app, fs::path& to);
CLI::Option* challenge_seed(CLI::App& app, std::string& to);
CLI::Option* since(CLI::App& app, fs::path& to);
CLI::Option* consistency(CLI::App& app, fs::path& to);
CLI::Option* known(CLI::App& app, fs::path& to);
CLI::Option* json(CLI::App& app, bool& to);
CLI::Option* quiet(CLI::App& app, bool& to);
CLI::Option* verbose(CLI::App& app, bool& to);
/// 0 stays 0 and means every processor this process may use (thread_count).
CLI::Option* threads(CLI::App& app, int& to);
CLI::Option* device(CLI::App& app, std::string& to);
int thread_count(int threads);
/// Seconds since 1970: SOURCE_DATE_EPOCH, so that output can be made again to the byte, or now. Error{kUsage}
/// if the variable is no such number, or after `latest`.
std::int64_t current_time(std::int64_t latest);

/// Parses `text` fully as a finite decimal; Error{kUsage} naming the flag otherwise.
double parse_real(std::string_view flag, std::string_view text);
std::int64_t parse_integer(std::string_view flag, std::string_view text);

}  // namespace aftune::cli
