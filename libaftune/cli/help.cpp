#include "cli/help.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <limits>
#include <vector>

#include "base/error.h"

namespace aftune::cli {
namespace {

constexpr std::size_t kColumn = 26;

std::string invocation(const CLI::Option& option) {
  const std::string name = option.get_positional() ? option.get_type_name() : option.get_name();
  const bool takes_value = !option.get_positional() && option.get_items_expected_max() > 0;
  return takes_value ? cat(name, ' ', option.get_type_name()) : name;
}

std::string usage(const CLI::App& app, const std::string& tool) {
  std::string line = tool;
  bool optional = false;
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_required())
      line += ' ' + invocation(*option);
    else
      optional = true;
  }
  return line + (optional ? " [flags]" : "");
}

std::string described(const std::string& left, const std::string& right) {
  const std::string indented = "  " + left;
  const bool fits = indented.size() + 2 <= kColumn;
  return indented + (fits ? std::string(kColumn - indented.size(), ' ') : "  ") + right + '\n';
}

std::string flags_of(const CLI::App& app) {
  std::string text;
  for (const std::string& group : app.get_groups()) {
    std::string lines;
    for (const CLI::Option* option : app.get_options())
      if (option->get_group() == group) lines += described(invocation(*option), option->get_description());
    if (!lines.empty()) text += cat('\n', group == "Options" ? "flags" : group, ":\n", lines);
  }
  return text;
}

std::size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

}  // namespace

std::string help(const CLI::App& app, const std::string& tool) {
  std::string text;
  const auto commands = app.get_subcommands([](const CLI::App*) { return true; });
  const char* lead = "usage: ";
  if (commands.empty()) text += cat(lead, usage(app, tool), '\n');
  for (const CLI::App* command : commands) {
    text += cat(lead, usage(*command, cat(tool, ' ', command->get_name())), '\n');
    lead = "       ";
  }
  text += cat('\n', app.get_description(), '\n', flags_of(app));
  for (const CLI::App* command : commands)
    text += cat('\n', command->get_name(), ": ", command->get_description(), flags_of(*command));
  return text;
}

std::string nearest(const CLI::App& app, const std::string& given) {
  if (given.size() > 64) return "";
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) names.push_back(option->get_name());
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(command->get_name());
  const std::string asked = given.substr(0, given.find('='));
  std::string best;
  std::size_t least = 2 + asked.size() / 5;
  for (const std::string& name : names) {
    const std::size_t distance = edit_distance(asked, name);
    // A shortened flag ("--batch") is a sure sign, whatever its distance.
    const bool shortened = asked.size() > 4 && name.starts_with(asked);
    if (shortened || distance < least) {
      best = name;
      least = shortened ? 0 : distance;
    }
  }
  return best;
}

}  // namespace aftune::cli
