#pragma once

#include <exception>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>

namespace aftune {

/// Who is at fault when work could not be done. A rejection is a value (audit::Verdict); an Error is a
/// failure.
enum class Fault {
  kUsage,     ///< flags, or a file the user named, are wrong
  kSystem,    ///< the machine: no space, no permission, a read error
  kDevice,    ///< the accelerator
  kEvidence,  ///< bytes that the provider wrote; the auditor turns these into a verdict, never into "try
              ///< again"
};

/// A failure with its context, printed once, in cli::run, as "tool: error: <what>".
class Error : public std::exception {
 public:
  Error(Fault fault, std::string message) : fault_(fault), message_(std::move(message)) {}
  const char* what() const noexcept override { return message_.c_str(); }
  Fault fault() const noexcept { return fault_; }
  /// Prefixes "where: ", as the error travels up.
  void within(std::string_view where) { message_.insert(0, std::string(where) + ": "); }

 private:
  Fault fault_;
  std::string message_;
};

/// Joins anything streamable into one string.
template <class... Parts>
std::string cat(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return std::move(out).str();
}

template <class... Parts>
[[noreturn]] void fail(Fault fault, const Parts&... parts) {
  throw Error(fault, cat(parts...));
}

/// Runs body and adds "where: " to any Error that leaves it.
template <class Body>
auto within(std::string_view where, Body&& body) {
  try {
    return std::forward<Body>(body)();
  } catch (Error& e) {
    e.within(where);
    throw;
  }
}

/// Runs body, which reads a file of the user's own: what is wrong with that is a usage error, never evidence
/// against the provider.
template <class Body>
auto as_usage(Body&& body) {
  try {
    return std::forward<Body>(body)();
  } catch (const Error& e) {
    if (e.fault() != Fault::kEvidence) throw;
    fail(Fault::kUsage, e.what());
  }
}

namespace detail {
[[noreturn]] void check_failed(const char* condition, const char* file, int line);
}

}  // namespace aftune

/// An invariant of ours: if it does not hold the program is wrong, and stops.
#define AFTUNE_CHECK(condition) \
  ((condition) ? static_cast<void>(0) : ::aftune::detail::check_failed(#condition, __FILE__, __LINE__))
