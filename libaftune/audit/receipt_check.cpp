#include "audit/receipt_check.h"

#include <algorithm>

#include "audit/block_state.h"
#include "audit/log_view.h"
#include "audit/rejection.h"
#include "base/error.h"
#include "hash/blake3.h"
#include "hash/merkle.h"
#include "seal/cosignature.h"
#include "seal/note.h"

namespace aftune::audit {
namespace {

// A chat's choice has its text in its message.
const Json* text_of(const Json& answer) {
  if (answer.contains("text")) return &answer["text"];
  const auto message = answer.find("message");
  return message != answer.end() && message->contains("content") ? &(*message)["content"] : nullptr;
}

// What an answer says must be what its receipt is for; else the receipt proves nothing about it.
void require_own_answer(const Json& json, const seal::SignedReceipt& receipt) {
  const Json* text = text_of(json);
  if (text == nullptr) return;
  for (const char* key : {"tokens", "finish_reason", "endpoint", "ask"})
    if (!json.contains(key)) return;
  record::Exchange exchange;
  exchange.endpoint = json["endpoint"].get<std::string>();
  exchange.ask = json["ask"].get<std::int64_t>();
  exchange.finish = json["finish_reason"].get<std::string>();
  exchange.text = text->get<std::string>();
  exchange.tokens = json["tokens"].get<std::vector<std::int32_t>>();
  if (answer_digest(exchange) != receipt.receipt.answer)
    fail(Fault::kUsage, "the answer is not the one that its receipt is for");
}

// The latest second at which one of them saw this checkpoint.
std::optional<std::int64_t> time_of(const Sealed& sealed, const std::vector<std::string>& witnesses,
                                    const seal::PublicKey& provider) {
  std::optional<std::int64_t> made;
  const auto keys = seal::parse_witnesses(witnesses);
  for (const seal::PublicKey& witness : keys)
    if (witness.key() == provider.key())
      fail(Fault::kUsage, "witness ", witness.name(), " has the provider's own key");
  for (const seal::Cosignature& line : seal::check_cosignatures(seal::Note::parse(sealed.text), keys))
    if (line.valid) made = std::max(made.value_or(0), static_cast<std::int64_t>(line.time));
  return made;
}

void take(const std::string& where, const Json& json, std::vector<HeldReceipt>& out) {
  if (!json.is_object()) fail(Fault::kUsage, "not an object");
  if (json.contains("choices") && json["choices"].is_array()) {
    for (const Json& choice : json["choices"]) take(where, choice, out);
    return;
  }
  if (json.contains("error")) return;  // a request that has no answer
  if (json.contains("text") && !json.contains("receipt"))
    fail(Fault::kUsage, "the answer has no receipt: it was not recorded");
  const Json& receipt = json.contains("receipt") ? json["receipt"] : json;
  out.push_back({where, seal::SignedReceipt::from_json(receipt)});
  if (json.contains("receipt")) require_own_answer(json, out.back().signed_receipt);
}

}  // namespace

std::vector<HeldReceipt> read_receipts(const std::string& where, std::string_view text) {
  std::vector<HeldReceipt> out;
  std::int64_t number = 0;
  // One object, or one a line.
  const auto whole = [&] { take(where, parse_json(text), out); };
  try {
    if (text.find('\n') == text.npos || text.find('\n') + 1 == text.size()) {
      within(where, [&] { whole(); });
      return out;
    }
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = std::min(text.find('\n', at), text.size());
      const std::string_view line = text.substr(at, end - at);
      ++number;
      if (!line.empty()) {
        const std::string name = cat(where, " line ", number);
        within(name, [&] { take(name, parse_json(line), out); });
      }
      at = end + 1;
    }
  } catch (const Json::exception&) {
    fail(Fault::kUsage, where, ": the answer is not of the form that aftune-serve writes");
  } catch (const Error& e) {
    fail(Fault::kUsage, e.what());
  }
  return out;
}

void add_requests(std::string_view text, std::set<Digest>& requests) {
  requests.insert(hash::blake3(text));
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    requests.insert(hash::blake3(text.substr(0, end)));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

void check_receipts(const VerifyOptions& options, const ServingLog& log, const Sealed& sealed,
                    Findings& findings) {
  const seal::PublicKey& key = options.key;
  const std::optional<std::int64_t> made = time_of(sealed, options.time_witnesses, key);
  for (const auto& [where, held] : options.receipts) {
    const seal::Receipt& r = held.receipt;
    if (!held.verify(key)) {
      // Anybody can write one.
      findings.add(Code::kUnattributed, where, cat("is not signed by ", key.vkey()));
      continue;
    }
    if (r.origin != sealed.checkpoint.origin) {
      findings.add(Code::kAbsent, where, cat("is of ", r.origin, ", not of ", sealed.checkpoint.origin));
      continue;
    }
    // Only the client knows what it sent; to others its word is as good as the provider's.
    if (options.requests && options.requests->count(r.request) == 0) {
      findings.add(Code::kUnattributed, where,
                   cat("is for none of the requests that were sent: ", to_hex(r.request)));
      continue;
    }
    if (!findings.expect(r.model == log.manifest().base.root, Check::kReceipt, Code::kReceipt, where,
                         "model: " + expected_found(log.manifest().base.root, r.model)))
      continue;
    const auto leaf = static_cast<std::int64_t>(r.index);
    if (r.index >= sealed.checkpoint.size) {
      if (made && *made > r.merge_by)
        findings.failed(Check::kReceipt, Code::kReceipt, where,
                        cat("promised a checkpoint over leaf ", r.index, " by ", r.merge_by,
                            "; one that was made at ", *made, " seals ", sealed.checkpoint.size, " leaves"));
      else
        findings.add(Code::kAbsent, where,
                     cat("leaf ", r.index, " is not sealed yet by a checkpoint over ", sealed.checkpoint.size,
                         "; one is promised by ", r.merge_by));
      continue;
    }
    if (!log.has(leaf)) {
      findings.add(Code::kAbsent, where,
                   cat(LogView::line(leaf), " is not among the leaves that were opened"));
      continue;
    }
    const Digest found = hash::leaf_hash(log.leaf(leaf));
    findings.expect(found == r.leaf, Check::kReceipt, Code::kReceipt, where,
                    cat(LogView::line(leaf), ": ", expected_found(r.leaf, found)));
  }
}

void check_promise(const std::vector<HeldReceipt>& receipts, std::int64_t leaf,
                   const record::RequestLeaf& answer, const record::Salts& salts, Findings& findings) {
  for (const HeldReceipt& held : receipts) {
    const seal::Receipt& r = held.signed_receipt.receipt;
    if (static_cast<std::int64_t>(r.index) != leaf) continue;
    const auto compare = [&](record::Role role, const Digest& promised, const Digest& logged) {
      const Digest found = record::published(&salts, {leaf, role}, promised);
      findings.expect(
          found == logged, Check::kReceipt, Code::kReceipt, held.where,
          cat(LogView::line(leaf), " has another ", record::name(role), ": ", expected_found(found, logged)));
    };
    compare(record::Role::kRequest, r.request, answer.request);
    compare(record::Role::kAnswer, r.answer, answer.answer);
  }
}

}  // namespace aftune::audit
