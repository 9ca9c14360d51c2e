#pragma once

// The contract of every tool (aftune(7)): exit 0 done or ACCEPT, 1 REJECT, 2 could not do the job, 3
// INCOMPLETE, 130 interrupted. stdout carries the result and nothing else; a failure is one line "tool:
// error:
// ..." on stderr, lower case, without a final period, and a bad use ends it with "; hint: ...". Output
// appears whole or not at all. A flag means the same in every tool and is given at most once.

#include <functional>

#include "cli/flags.h"
#include "cli/streams.h"

namespace aftune::cli {

enum class Exit : int { kDone = 0, kReject = 1, kFailed = 2, kIncomplete = 3, kInterrupted = 130 };

/// One line on stderr: "tool: warning: ...", "tool: error: ...", or "tool: ...". Errors that were thrown are
/// printed by run(); complain() is for a bad answer that is no failure.
void warn(std::string_view message);
void complain(std::string_view message);
void note(std::string_view message);

/// The one way a tool starts: declares flags, parses, runs, prints any Error once, maps it to the exit code.
/// `summary` is the line under the tool's name in --help.
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
