#include "audit/seed_check.h"

#include <algorithm>

#include "base/error.h"
#include "hash/blake3.h"

namespace aftune::audit {
namespace {

constexpr char kWhere[] = "seed";

// The run is bound to the policy by its id (require_bound in policy.cpp, check_policy), and so to the digest.
void check_committed(const Challenge& challenge, const Policy* policy, Findings& findings) {
  if (policy == nullptr || !policy->seed_commitment) {
    findings.add(Code::kCoverage, kWhere, "committed: no policy carries its digest");
    return;
  }
  const Digest found = hash::blake3(std::as_bytes(std::span(challenge.seed)));
  if (found != *policy->seed_commitment)
    findings.add(Code::kCoverage, kWhere,
                 cat("committed: the policy carries ", to_hex(*policy->seed_commitment), ", the seed has ",
                     to_hex(found)));
}

void check_beacon(const Challenge& challenge, const Policy* policy, Findings& findings) {
  if (!challenge.beacon) {
    findings.add(Code::kCoverage, kWhere, "beacon: the challenge has no round");
    return;
  }
  const Beacon& beacon = *challenge.beacon;
  if (beacon_seed(beacon) != challenge.seed)
    findings.add(Code::kCoverage, kWhere,
                 cat("beacon: not what follows from the value of round ", beacon.round));
  if (policy == nullptr || !policy->beacon) {
    findings.add(Code::kCoverage, kWhere, "beacon: no policy names the round");
    return;
  }
  if (beacon.round != policy->beacon->round)
    findings.add(
        Code::kCoverage, kWhere,
        cat("beacon: the policy names round ", policy->beacon->round, ", the challenge has ", beacon.round));
  findings.unchecked(cat("beacon: that ", beacon.value, " is the value of round ", beacon.round, " of ",
                         policy->beacon->source, ", and that it came after the note was signed"));
}

}  // namespace

void check_seed(const Challenge& challenge, const Policy* policy, Findings& findings) {
  if (challenge.plan.all) return;
  if (policy != nullptr && policy->seed_kinds) {
    const auto& allowed = *policy->seed_kinds;
    if (std::find(allowed.begin(), allowed.end(), challenge.seed_kind) == allowed.end())
      findings.add(Code::kCoverage, kWhere,
                   cat("the policy does not allow the kind \"", challenge.seed_kind, '"'));
  }
  if (challenge.seed_kind == "committed") check_committed(challenge, policy, findings);
  if (challenge.seed_kind == "beacon") check_beacon(challenge, policy, findings);
}

}  // namespace aftune::audit
