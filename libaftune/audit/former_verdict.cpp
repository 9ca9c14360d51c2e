#include "audit/former_verdict.h"

#include <algorithm>

#include "audit/verdict.h"
#include "base/error.h"

namespace aftune::audit {
namespace {

const Json& member(const Json& object, const char* key, bool (Json::*is_kind)() const noexcept) {
  const auto found = object.is_object() ? object.find(key) : object.end();
  if (!object.is_object() || found == object.end() || !((*found).*is_kind)())
    fail(Fault::kUsage, "not a verdict of aftune-verify --json: \"", key, "\"");
  return *found;
}

std::vector<Cell> read(std::string_view text, std::string_view origin) {
  const Json verdict = parse_json(text, {.max_depth = 6, .max_values = kMaxVerdictValues});
  member(verdict, "verdict", &Json::is_string);
  const Json& of = member(verdict, "origin", &Json::is_string);
  if (of != origin) fail(Fault::kUsage, "a verdict on ", of.get<std::string>(), ", not on ", origin);
  const Json& coverage = member(verdict, "coverage", &Json::is_object);
  std::vector<Cell> cells = cells_from_json(member(coverage, "unanswered", &Json::is_array));
  std::sort(cells.begin(), cells.end());
  cells.erase(std::unique(cells.begin(), cells.end()), cells.end());
  return cells;
}

}  // namespace

std::vector<Cell> unanswered_in(std::string_view verdict, std::string_view origin) {
  try {
    return read(verdict, origin);
  } catch (const Error& e) {
    throw Error(Fault::kUsage, e.what());  // the auditor's own file: not evidence
  }
}

}  // namespace aftune::audit
