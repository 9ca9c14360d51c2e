#pragma once

#include <string>

#include "cli/flags.h"

namespace aftune::cli {

/// The --help text of a tool or of one of its subcommands: usage, then one line for each flag.
std::string help(const CLI::App& app, const std::string& tool);
/// The name among `app`'s flags and subcommands that is nearest to `given`; empty if none is near.
std::string nearest(const CLI::App& app, const std::string& given);

}  // namespace aftune::cli
