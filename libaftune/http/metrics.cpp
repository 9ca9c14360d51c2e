#include "http/metrics.h"

#include <algorithm>
#include <ostream>
#include <sstream>

namespace aftune::http {
namespace {

constexpr std::array<std::string_view, 3> kEnds{"finished", "failed", "cancelled"};

void head(std::ostream& out, std::string_view name, std::string_view type, std::string_view help) {
  out << "# HELP " << name << ' ' << help << "\n# TYPE " << name << ' ' << type << '\n';
}

void one(std::ostream& out, std::string_view name, std::string_view type, std::string_view help,
         std::uint64_t value) {
  head(out, name, type, help);
  out << name << ' ' << value << '\n';
}

}  // namespace

void Metrics::Histogram::add(double seconds) {
  const auto bucket = std::ranges::lower_bound(kBounds, seconds) - kBounds.begin();
  ++counts[static_cast<std::size_t>(bucket)];
  sum += seconds;
}

void Metrics::Histogram::print(std::ostream& out, std::string_view name, std::string_view help) const {
  head(out, name, "histogram", help);
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < kBounds.size(); ++i)
    out << name << "_bucket{le=\"" << kBounds[i] << "\"} " << (total += counts[i]) << '\n';
  total += counts.back();
  out << name << "_bucket{le=\"+Inf\"} " << total << '\n';
  out << name << "_sum " << sum << '\n' << name << "_count " << total << '\n';
}

void Metrics::responded(std::string_view route, int status) {
  const std::lock_guard lock(mutex_);
  ++responses_[{std::string(route), status}];
}

void Metrics::ended(const serve::AnswerEnd& end) {
  const std::lock_guard lock(mutex_);
  ++ends_[static_cast<std::size_t>(end.how)];
  if (end.receipt) ++recorded_;
  if (end.how != generate::Ended::kFinished) return;
  prompt_tokens_ += static_cast<std::uint64_t>(end.prompt_tokens);
  answer_tokens_ += end.answer.tokens.size();
  queued_.add(end.timing.queued);
  prefill_.add(end.timing.prefill);
  decode_.add(end.timing.decode);
}

std::string Metrics::text(const Gauges& gauges) const {
  std::ostringstream out;
  out.precision(12);
  const std::lock_guard lock(mutex_);
  head(out, "aftune_responses_total", "counter", "Responses begun, by route and status.");
  for (const auto& [key, count] : responses_)
    out << "aftune_responses_total{route=\"" << key.first << "\",status=\"" << key.second << "\"} " << count
        << '\n';
  head(out, "aftune_answers_total", "counter", "Answers that have ended, by how.");
  for (std::size_t i = 0; i < kEnds.size(); ++i)
    out << "aftune_answers_total{end=\"" << kEnds[i] << "\"} " << ends_[i] << '\n';
  one(out, "aftune_answers_recorded_total", "counter", "Answers in the log, each with a receipt.", recorded_);
  one(out, "aftune_prompt_tokens_total", "counter", "Tokens of the prompts of finished answers.",
      prompt_tokens_);
  one(out, "aftune_answer_tokens_total", "counter", "Tokens of finished answers.", answer_tokens_);
  one(out, "aftune_answers_waiting", "gauge", "Answers that wait for room.", gauges.waiting);
  one(out, "aftune_answers_running", "gauge", "Answers that grow.", gauges.running);
  one(out, "aftune_checkpoint_leaves", "gauge", "Leaves that the newest checkpoint seals.",
      gauges.sealed_leaves);
  one(out, "aftune_connections", "gauge", "Open connections.",
      static_cast<std::uint64_t>(gauges.connections));
  queued_.print(out, "aftune_queue_seconds", "Time of an answer until its prompt was begun.");
  prefill_.print(out, "aftune_prefill_seconds", "Time of an answer from then to its first token.");
  decode_.print(out, "aftune_decode_seconds", "Time of an answer from then to its last token.");
  return std::move(out).str();
}

}  // namespace aftune::http
