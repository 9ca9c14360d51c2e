#pragma once

#include <cstdint>
#include <set>
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

/// What receipts of requests in `text` are for: its digest, for the body of a request over HTTP, and that of
/// each of its lines without LF, for rows of a batch.
void add_requests(std::string_view text, std::set<Digest>& requests);

/// `receipt`: signed by the provider, for this log, these weights and a request that the client sent, and its
/// leaf is in the log at its index. A leaf that is not at hand, or not sealed yet, is `absent`; if a witness
/// cosigned this checkpoint after merge_by, one that it does not seal is fraud.
void check_receipts(const VerifyOptions& options, const ServingLog& log, const Sealed& sealed,
                    Findings& findings);

/// The receipts of one leaf against what was opened of it: the same request, the same answer.
void check_promise(const std::vector<HeldReceipt>& receipts, std::int64_t leaf,
                   const record::RequestLeaf& answer, const record::Salts& salts, Findings& findings);

}  // namespace aftune::audit
