#include "cli/cli.h"

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <new>
#include <optional>

#include "base/cpu.h"
#include "base/error.h"
#include "base/version.h"
#include "cli/help.h"

namespace aftune::cli {
namespace {

const char* g_tool = "aftune";  // for warn(); set once by run_tool

void say(std::string_view kind, std::string_view message) {
  // One line whatever the message holds: names of files may have line ends in them.
  std::string line = cat(g_tool, ": ", kind);
  for (const char c : message) line += (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) ? '?' : c;
  line += '\n';
  std::fwrite(line.data(), 1, line.size(), stderr);
}

/// The subcommand that was given, or the app itself.
const CLI::App& chosen(const CLI::App& app) {
  const auto parsed = app.get_subcommands();
  return parsed.empty() ? app : *parsed.front();
}

std::string see_help(const CLI::App& app) {
  const CLI::App& command = chosen(app);
  return cat("see ", g_tool, ' ', &command == &app ? "" : command.get_name() + ' ', "--help");
}

std::string unknown_argument(const CLI::App& app) {
  const CLI::App& command = chosen(app);
  const auto rest = app.remaining(true);
  const std::string given = rest.empty() ? std::string("?") : rest.front();
  const bool is_flag = given.starts_with("-");
  const std::string near = nearest(command, given);
  return cat(is_flag ? "unknown flag " : "unexpected argument ", given,
             "; hint: ", near.empty() ? see_help(app) : cat("did you mean ", near, '?'));
}

/// The first required flag, positional or command that was not given.
std::string missing_argument(const CLI::App& app) {
  const CLI::App& command = chosen(app);
  for (const CLI::Option* option : command.get_options())
    if (option->get_required() && option->count() == 0)
      return cat(option->get_positional() ? option->get_type_name() : option->get_name(), " is required");
  return "a command is required";
}

std::optional<std::string> repeated_flag(const CLI::App& app) {
  for (const CLI::Option* option : chosen(app).get_options())
    if (option->count() > 1) return cat(option->get_name(), " is given ", option->count(), " times");
  return std::nullopt;
}

std::string usage_error(const CLI::App& app, const CLI::ParseError& e) {
  if (dynamic_cast<const CLI::ExtrasError*>(&e) != nullptr) return unknown_argument(app);
  const std::string hint = "; hint: " + see_help(app);
  if (const auto repeated = repeated_flag(app)) return *repeated + hint;
  if (dynamic_cast<const CLI::RequiredError*>(&e) != nullptr) {
    // An unknown flag is the likelier mistake: a misspelt required one.
    if (!app.remaining(true).empty()) return unknown_argument(app);
    return missing_argument(app) + hint;
  }
  std::string message = e.what();
  if (dynamic_cast<const CLI::ArgumentMismatch*>(&e) != nullptr) {
    const bool overridden = message.find("flag override") != std::string::npos;
    message = message.substr(0, message.find_first_of(": "));
    message = overridden ? cat("--", message, " takes no value") : message + " needs a value";
  }
  return message + hint;
}

/// nullopt: go on. Otherwise the exit code.
std::optional<Exit> parse(CLI::App& app, int argc, char** argv) {
  try {
    app.parse(argc, argv);
    return std::nullopt;
  } catch (const CLI::CallForHelp&) {
    const CLI::App& command = chosen(app);
    print(help(command, &command == &app ? g_tool : cat(g_tool, ' ', command.get_name())));
    return Exit::kDone;
  } catch (const CLI::CallForVersion&) {
    print(cat(g_tool, ' ', kVersion, '\n'));
    return Exit::kDone;
  } catch (const CLI::ParseError& e) {
    say("error: ", usage_error(app, e));
    return Exit::kFailed;
  } catch (Error& e) {
    fail(e.fault(), e.what(), "; hint: ", see_help(app));
  }
}

Exit parse_and_run(const char* summary, int argc, char** argv, const std::function<void(CLI::App&)>& flags,
                   const std::function<Exit()>& body) {
  CLI::App app(summary);
  app.set_help_flag("--help", "print this help");
  app.set_version_flag("--version", std::string(kVersion), "print the version");
  flags(app);
  if (const auto done = parse(app, argc, argv)) return *done;
  active_isa();  // refuses a wrong AFTUNE_ISA before any work
  return body();
}

}  // namespace

void warn(std::string_view message) {
  say("warning: ", message);
}

void complain(std::string_view message) {
  say("error: ", message);
}

void note(std::string_view message) {
  say("", message);
}

int run_tool(const char* tool, const char* summary, int argc, char** argv,
             const std::function<void(CLI::App&)>& flags, const std::function<Exit()>& body) {
  g_tool = tool;
  std::signal(SIGPIPE, SIG_IGN);  // a closed pipe is a write error like any other
  Exit exit = Exit::kFailed;
  try {
    exit = parse_and_run(summary, argc, argv, flags, body);
  } catch (const Error& e) {
    say("error: ", e.what());
  } catch (const std::bad_alloc&) {
    say("error: ", "out of memory");
  } catch (const fs::filesystem_error& e) {
    say("error: ", cat(e.path1().native(), ": ", e.code().message()));
  } catch (const std::exception& e) {
    say("error: ", cat("internal error: ", e.what()));
  }
  return static_cast<int>(exit);
}

}  // namespace aftune::cli
