#pragma once

#include <string>
#include <string_view>

#include "audit/verdict.h"
#include "base/bytes.h"
#include "seal/keys.h"

namespace aftune::report {

inline constexpr std::string_view kPayloadType = "application/vnd.in-toto+json";
inline constexpr std::string_view kStatementType = "https://in-toto.io/Statement/v1";
/// Names the form of the predicate, schemas/verdict.json: on disk, never renumber.
inline constexpr std::string_view kPredicateType = "https://aftune.example/attestation/verdict/v1";

/// What open_attestation() reads at most.
inline constexpr std::size_t kMaxEnvelopeBytes = 2 * audit::kMaxVerdictBytes;

/// DSSE's pre-authentication encoding: the bytes that are signed.
std::string pre_authentication_encoding(std::string_view type, std::string_view body);

/// An in-toto statement about the log, with the verdict as its predicate, in a DSSE envelope: one line of
/// JSON and LF. The same verdict and key give the same bytes. Throws Error{kUsage} if the verdict is of no
/// log (the signature did not hold, so there is nothing to name).
std::string attest(const audit::Verdict& verdict, const seal::SecretKey& key);

/// The verdict in such an envelope, if `key` signed it. Throws Error{kEvidence} on anything else: another
/// form, no signature that `key` verifies, another predicate, a subject that is not the verdict's log.
audit::Verdict open_attestation(std::string_view envelope, const seal::PublicKey& key);

}  // namespace aftune::report
