#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"

// Only this module includes CLI11's headers, which take a tool several seconds to compile.
namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace aftune::cli {

/// A flag that was declared; as CLI11's option.
class Flag {
 public:
  explicit Flag(CLI::Option* option) : option_(option) {}
  Flag required() const;
  Flag group(const std::string& name) const;
  Flag description(const std::string& text) const;

 private:
  CLI::Option* option_;
};

// Declaring a flag. `metavar` names its value in help and manual. Numbers are parsed whole and checked
// against [least, most]; a default that lies inside is shown in help.
Flag toggle(CLI::App& app, const std::string& flag, bool& to, const std::string& what);
Flag text(CLI::App& app, const std::string& flag, const std::string& metavar, std::string& to,
          const std::string& what);
Flag path(CLI::App& app, const std::string& flag, const std::string& metavar, fs::path& to,
          const std::string& what);
/// One or more, up to the next flag.
Flag paths(CLI::App& app, const std::string& flag, const std::string& metavar, std::vector<fs::path>& to,
           const std::string& what);
Flag choice(CLI::App& app, const std::string& flag, std::initializer_list<std::string_view> names,
            std::string& to, const std::string& what);
Flag integer(CLI::App& app, const std::string& flag, std::int64_t& to, const std::string& what,
             std::int64_t least, std::int64_t most);
Flag integer(CLI::App& app, const std::string& flag, int& to, const std::string& what, int least, int most);
Flag word64(CLI::App& app, const std::string& flag, std::uint64_t& to, const std::string& what);
Flag real(CLI::App& app, const std::string& flag, double& to, const std::string& what, double least,
          double most);
/// A byte count with an optional suffix K, M, G or T (powers of 1024).
Flag size(CLI::App& app, const std::string& flag, std::uint64_t& to, const std::string& what);
/// `bytes` bytes as lower-case hex digits; 0 for any number.
Flag hex(CLI::App& app, const std::string& flag, std::string& to, std::size_t bytes, const std::string& what);

/// A value without a flag, named in help.
Flag positional(CLI::App& app, const std::string& name, const std::string& metavar, fs::path& to,
                const std::string& what);
/// A command of a tool that has several; `chosen` is called if it is given. With them, one must be.
CLI::App& command(CLI::App& app, const std::string& name, const std::string& what,
                  std::function<void()> chosen = {});

// Flags that several tools share, each declared once.
Flag model(CLI::App& app, fs::path& to);
Flag data(CLI::App& app, fs::path& to);
Flag trace(CLI::App& app, fs::path& to);
Flag out(CLI::App& app, fs::path& to, const std::string& metavar, const std::string& what);
Flag key(CLI::App& app, fs::path& to);
Flag pubkey(CLI::App& app, fs::path& to);
Flag challenge(CLI::App& app, fs::path& to);
Flag policy(CLI::App& app, fs::path& to);
Flag checkpoint(CLI::App& app, fs::path& to);
Flag challenge_seed(CLI::App& app, std::string& to);
Flag since(CLI::App& app, fs::path& to);
Flag consistency(CLI::App& app, fs::path& to);
Flag known(CLI::App& app, fs::path& to);
Flag json(CLI::App& app, bool& to);
Flag quiet(CLI::App& app, bool& to);
Flag verbose(CLI::App& app, bool& to);
/// 0 stays 0 and means every processor this process may use (thread_count).
Flag threads(CLI::App& app, int& to);
Flag device(CLI::App& app, std::string& to);
int thread_count(int threads);
/// Seconds since 1970: SOURCE_DATE_EPOCH, so that output can be made again to the byte, or now. Error{kUsage}
/// if the variable is no such number, or after `latest`.
std::int64_t current_time(std::int64_t latest);

/// Parses `text` fully as a finite decimal; Error{kUsage} naming the flag otherwise.
double parse_real(std::string_view flag, std::string_view text);
std::int64_t parse_integer(std::string_view flag, std::string_view text);

}  // namespace aftune::cli
