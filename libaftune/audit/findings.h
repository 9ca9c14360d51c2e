#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>

#include "audit/verdict.h"

namespace aftune::audit {

/// What the checks report to while a verdict is being made. Bounded: a record with a million contradictions
/// is told as well by its first ones.
class Findings {
 public:
  static constexpr std::size_t kMaxReasons = 64;

  explicit Findings(Verdict& verdict) : verdict_(verdict) {}
  /// For bytes that came through other hands: that they are not the committed ones says something about the
  /// provider only if it answers for them, which is asked when it first matters. Else what would be `format`
  /// or `evidence` is `unattributed`.
  void ask_whose(std::function<bool()> is_providers) { is_providers_ = std::move(is_providers); }

  /// From now on a contradiction under one of these codes shows only through what came with those bytes (an
  /// opened salt): a wrong one looks just like it. It too is `unattributed` unless the provider answers.
  void doubt(std::set<Code> codes) { doubted_ = std::move(codes); }
  /// `check` was made `times` times and held.
  void held(Check check, std::int64_t times = 1) { verdict_.checks[check].done += times; }
  /// `check` was made once and did not hold.
  void failed(Check check, Code code, std::string where, std::string detail);
  /// Something that is no check's outcome: damage, absence, a limit. The same one twice is one.
  void add(Code code, std::string where, std::string detail);
  void unchecked(std::string what) { verdict_.unchecked.push_back(std::move(what)); }
  /// held() or failed(), with code and check of the same name.
  bool expect(bool holds, Check check, Code code, const std::string& where, const std::string& detail);

  /// Adds what another verdict's checks found.
  void merge(const Verdict& part);

  std::int64_t reasons() const { return static_cast<std::int64_t>(verdict_.reasons.size()) + dropped_; }
  /// To be called once, last: says how many reasons were left out.
  void close();

 private:
  Verdict& verdict_;
  std::function<bool()> is_providers_;
  std::set<Code> doubted_;
  std::int64_t dropped_ = 0;
};

}  // namespace aftune::audit
