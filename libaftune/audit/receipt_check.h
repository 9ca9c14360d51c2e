#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "audit/findings.h"
#include "audit/seal_check.h"
#include "audit/serving_log.h"
#include "seal/receipt.h"

namespace aftune::audit {

/// Reads JSON of a receipt, or of an answer with a member "receipt" (batch answers, and responses of a
/// server, whose choices have one each). The answer's text and tokens must be those that the receipt speaks
/// of.
/// Throws Error{kUsage}: they are the client's own files.
inline constexpr std::uint64_t kMaxReceiptBytes = std::uint64_t{256} << 20;
std::vector<HeldReceipt> read_receipts(const std::string& where, std::string_view text);

/// `receipt`: signed by the provider, for this log and these weights, and its leaf is in the log at its
/// index. A leaf that is not at hand, or not sealed yet, is `absent`; one that a checkpoint made after
/// merge_by does not seal is fraud. `made` is when the checkpoint existed at the latest unix second that a
/// witness vouches for; nullopt: unknown.
void check_receipts(const std::vector<HeldReceipt>& receipts, const ServingLog& log, const Sealed& sealed,
                    const seal::PublicKey& key, std::optional<std::int64_t> made, Findings& findings);

/// The receipts of one leaf against what was opened of it: the same request, the same answer.
void check_promise(const std::vector<HeldReceipt>& receipts, std::int64_t leaf,
                   const record::RequestLeaf& answer, const record::Salts& salts, Findings& findings);

}  // namespace aftune::audit
