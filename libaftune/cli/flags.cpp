#include "cli/flags.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <ctime>
#include <functional>

#include "base/error.h"
#include "base/parallel.h"

namespace aftune::cli {
namespace {

/// Declares a flag with one value; `take` stores it or throws.
Flag value(CLI::App& app, const std::string& flag, const std::string& metavar, const std::string& what,
           std::function<void(const std::string&)> take) {
  const auto checked = [flag, take = std::move(take)](const std::string& given) {
    // CLI11 hands over whatever follows, so a forgotten value would swallow the next flag.
    if (given.empty() || (given.size() > 2 && given.starts_with("--")))
      fail(Fault::kUsage, flag, " needs a value");
    take(given);
  };
  return Flag(app.add_option_function<std::string>(flag, checked, what)->type_name(metavar));
}

template <class Number>
Number parse(std::string_view flag, std::string_view text, std::string_view kind) {
  Number number{};
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (code == std::errc::result_out_of_range) fail(Fault::kUsage, flag, ": ", text, " is out of range");
  if (code != std::errc() || end != text.data() + text.size())
    fail(Fault::kUsage, flag, ": \"", text, "\" is not ", kind);
  return number;
}

template <class Number>
std::string shown(Number number) {
  char buffer[32];
  const auto end = std::to_chars(buffer, buffer + sizeof(buffer), number).ptr;
  return {buffer, end};
}

template <class Number>
std::string with_default(const std::string& what, Number number, Number least, Number most) {
  if (number < least || number > most) return what;
  return cat(what, " [", shown(number), "]");
}

template <class Number>
void check_range(const std::string& flag, Number number, Number least, Number most) {
  if (number >= least && number <= most) return;
  if (number < least) fail(Fault::kUsage, flag, ": ", shown(number), " is less than ", shown(least));
  fail(Fault::kUsage, flag, ": ", shown(number), " is more than ", shown(most));
}

/// "a, b or c"
std::string listed(const std::vector<std::string>& names) {
  std::string all;
  for (std::size_t i = 0; i < names.size(); ++i)
    all += (i == 0 ? "" : i + 1 == names.size() ? " or " : ", ") + names[i];
  return all;
}

}  // namespace

double parse_real(std::string_view flag, std::string_view text) {
  const auto number = parse<double>(flag, text, "a number");
  if (!std::isfinite(number)) fail(Fault::kUsage, flag, ": \"", text, "\" is not a finite number");
  return number;
}

std::int64_t parse_integer(std::string_view flag, std::string_view text) {
  return parse<std::int64_t>(flag, text, "an integer");
}

Flag Flag::required() const {
  return Flag(option_->required());
}

Flag Flag::group(const std::string& name) const {
  return Flag(option_->group(name));
}

Flag Flag::description(const std::string& text) const {
  return Flag(option_->description(text));
}

Flag toggle(CLI::App& app, const std::string& flag, bool& to, const std::string& what) {
  return Flag(app.add_flag(flag, to, what)
                  ->multi_option_policy(CLI::MultiOptionPolicy::Throw)
                  ->disable_flag_override());
}

Flag text(CLI::App& app, const std::string& flag, const std::string& metavar, std::string& to,
          const std::string& what) {
  return value(app, flag, metavar, what, [&to](const std::string& given) { to = given; });
}

Flag path(CLI::App& app, const std::string& flag, const std::string& metavar, fs::path& to,
          const std::string& what) {
  return value(app, flag, metavar, what, [&to](const std::string& given) { to = given; });
}

Flag paths(CLI::App& app, const std::string& flag, const std::string& metavar, std::vector<fs::path>& to,
           const std::string& what) {
  const auto take = [&to](const std::vector<std::string>& given) { to.assign(given.begin(), given.end()); };
  return Flag(app.add_option_function<std::vector<std::string>>(flag, take, what)
                  ->type_name(metavar)
                  ->expected(1, -1));
}

Flag choice(CLI::App& app, const std::string& flag, std::initializer_list<std::string_view> names,
            std::string& to, const std::string& what) {
  const std::vector<std::string> list(names.begin(), names.end());
  const std::string described = cat(what, ": ", listed(list), " [", to, "]");
  return value(app, flag, "NAME", described, [&to, flag, list](const std::string& given) {
    if (std::find(list.begin(), list.end(), given) == list.end())
      fail(Fault::kUsage, flag, ": \"", given, "\" is not ", listed(list));
    to = given;
  });
}

Flag integer(CLI::App& app, const std::string& flag, std::int64_t& to, const std::string& what,
             std::int64_t least, std::int64_t most) {
  return value(app, flag, "N", with_default(what, to, least, most), [=, &to](const std::string& given) {
    const std::int64_t number = parse_integer(flag, given);
    check_range(flag, number, least, most);
    to = number;
  });
}

Flag integer(CLI::App& app, const std::string& flag, int& to, const std::string& what, int least, int most) {
  return value(app, flag, "N", with_default(what, to, least, most), [=, &to](const std::string& given) {
    const std::int64_t number = parse_integer(flag, given);
    check_range<std::int64_t>(flag, number, least, most);
    to = static_cast<int>(number);
  });
}

Flag word64(CLI::App& app, const std::string& flag, std::uint64_t& to, const std::string& what) {
  return value(app, flag, "N", cat(what, " [", to, "]"), [&to, flag](const std::string& given) {
    to = parse<std::uint64_t>(flag, given, "an integer from 0 to 2^64 - 1");
  });
}

Flag real(CLI::App& app, const std::string& flag, double& to, const std::string& what, double least,
          double most) {
  return value(app, flag, "X", with_default(what, to, least, most), [=, &to](const std::string& given) {
    const double number = parse_real(flag, given);
    check_range(flag, number, least, most);
    to = number;
  });
}

Flag size(CLI::App& app, const std::string& flag, std::uint64_t& to, const std::string& what) {
  return value(app, flag, "BYTES", what, [&to, flag](const std::string& given) {
    constexpr std::string_view kSuffixes = "KMGT";
    std::string_view digits = given;
    const auto suffix = kSuffixes.find(digits.back());
    int shift = 0;
    if (suffix != std::string_view::npos) {
      shift = 10 * (static_cast<int>(suffix) + 1);
      digits.remove_suffix(1);
    }
    const auto number = parse<std::uint64_t>(flag, digits, "a byte count such as 800M");
    if (number > (~std::uint64_t{0} >> shift)) fail(Fault::kUsage, flag, ": ", given, " is out of range");
    to = number << shift;
  });
}

Flag hex(CLI::App& app, const std::string& flag, std::string& to, std::size_t bytes,
         const std::string& what) {
  return value(app, flag, "HEX", what, [&to, flag, bytes](const std::string& given) {
    const bool digits = given.find_first_not_of("0123456789abcdef") == std::string::npos;
    if (!digits || given.size() % 2 != 0)
      fail(Fault::kUsage, flag, ": \"", given, "\" is not lower-case hex bytes");
    if (bytes != 0 && given.size() != 2 * bytes)
      fail(Fault::kUsage, flag, ": ", given.size(), " hex digits, not ", 2 * bytes);
    to = given;
  });
}

Flag positional(CLI::App& app, const std::string& name, const std::string& metavar, fs::path& to,
                const std::string& what) {
  return Flag(app.add_option(name, to, what)->type_name(metavar));
}

CLI::App& command(CLI::App& app, const std::string& name, const std::string& what,
                  std::function<void()> chosen) {
  app.require_subcommand(1);
  CLI::App& added = *app.add_subcommand(name, what);
  if (chosen) added.callback(std::move(chosen));
  return added;
}

Flag model(CLI::App& app, fs::path& to) {
  return path(app, "--model", "DIR", to, "model folder: config.json, weights, tokenizer.json");
}

Flag data(CLI::App& app, fs::path& to) {
  return path(app, "--data", "FILE", to,
              "JSON Lines rows of text, pairs, messages or images, or .safetensors of images");
}

Flag trace(CLI::App& app, fs::path& to) {
  return path(app, "--trace", "DIR", to, "trace directory");
}

Flag out(CLI::App& app, fs::path& to, const std::string& metavar, const std::string& what) {
  return path(app, "--out", metavar, to, what);
}

Flag key(CLI::App& app, fs::path& to) {
  return path(app, "--key", "FILE", to, "secret key (aftune-key)");
}

Flag pubkey(CLI::App& app, fs::path& to) {
  return path(app, "--pubkey", "FILE", to, "the provider's public key, a vkey line");
}

Flag challenge(CLI::App& app, fs::path& to) {
  return path(app, "--challenge", "FILE", to, "challenge file (aftune-challenge)");
}

Flag policy(CLI::App& app, fs::path& to) {
  return path(app, "--policy", "FILE", to, "the client's policy");
}

Flag checkpoint(CLI::App& app, fs::path& to) {
  return path(app, "--checkpoint", "FILE", to, "signed note of the log");
}

Flag challenge_seed(CLI::App& app, std::string& to) {
  return hex(app, "--challenge-seed", to, 32, "seed of the draw, 32 bytes");
}

Flag since(CLI::App& app, fs::path& to) {
  return path(app, "--since", "FILE", to, "earlier signed note of the log, which it must extend");
}

Flag consistency(CLI::App& app, fs::path& to) {
  return path(app, "--consistency", "FILE", to, "proof that a checkpoint extends an earlier one");
}

Flag known(CLI::App& app, fs::path& to) {
  return path(app, "--known", "FILE", to, "notes seen before; made if absent");
}

Flag json(CLI::App& app, bool& to) {
  return toggle(app, "--json", to, "print JSON");
}

Flag quiet(CLI::App& app, bool& to) {
  return toggle(app, "--quiet", to, "no progress and no notes on stderr");
}

Flag verbose(CLI::App& app, bool& to) {
  return toggle(app, "--verbose", to, "say more on stderr");
}

Flag threads(CLI::App& app, int& to) {
  return integer(app, "--threads", to, "threads; 0 is one for each processor", 0, 1024);
}

Flag device(CLI::App& app, std::string& to) {
  return text(app, "--device", "DEVICE", to, cat("where to compute: cpu, cuda or cuda:N [", to, "]"));
}

std::int64_t current_time(std::int64_t latest) {
  const char* pinned = std::getenv("SOURCE_DATE_EPOCH");
  if (pinned == nullptr || *pinned == '\0') return std::time(nullptr);
  const std::int64_t time = parse_integer("SOURCE_DATE_EPOCH", pinned);
  if (time < 0 || time > latest) fail(Fault::kUsage, "SOURCE_DATE_EPOCH: out of range");
  return time;
}

int thread_count(int threads) {
  return threads > 0 ? threads : available_threads();
}

}  // namespace aftune::cli
