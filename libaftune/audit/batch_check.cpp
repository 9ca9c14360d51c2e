#include "audit/batch_check.h"

#include "audit/block_state.h"
#include "audit/judge.h"
#include "base/error.h"

namespace aftune::audit {
namespace {

data::Batch batch_of(const LogView& log, const data::RowSource& rows, const data::Encoder& encoder,
                     const data::Order& order, const record::Step& step, const std::string& where) {
  try {
    return data::make_batch(rows, encoder, order, log.manifest().recipe, step.from, step.tokens);
  } catch (const Error& e) {
    if (e.fault() == Fault::kSystem) throw;
    throw Rejection(Check::kData, Code::kData, where, cat("no run can take these rows: ", e.what()));
  }
}

}  // namespace

int check_batch(const LogView& log, const data::RowSource& source, const data::Encoder& encoder,
                const data::Order& order, const record::Step& step, const std::string& where,
                Findings& findings) {
  const data::Batch batch = batch_of(log, source, encoder, order, step, where);
  const Judge judge(findings, true);
  judge.expect(batch.to == step.to, Check::kOrder, Code::kOrder, where,
               [&] { return cat("to: expected ", batch.to, ", found ", step.to); });
  int hidden = 0;
  const auto compare = [&](record::Role role, const std::vector<std::int32_t>& ints, const Digest& found) {
    const record::SaltName salt{log.grid().step_leaf(step.step), role};
    if (!log.is_open(salt)) {
      ++hidden;
      return;
    }
    const Digest expected = log.published(salt, data::ints_digest(ints));
    judge.expect(expected == found, Check::kData, Code::kData, where,
                 [&] { return cat(record::name(role), ": ", expected_found(expected, found)); });
  };
  const data::Rows& rows = batch.rows;
  compare(record::Role::kLayout, data::layout_of(rows), step.layout);
  compare(record::Role::kTokens, rows.tokens, step.token_ids);
  compare(record::Role::kLabels, rows.labels, step.labels);
  judge.expect(batch.predicted == step.predicted && rows.size() == step.tokens, Check::kData, Code::kData,
               where, [&] {
                 return cat("expected ", rows.size(), " tokens, ", batch.predicted, " predicted, found ",
                            step.tokens, " and ", step.predicted);
               });
  return hidden;
}

data::Encoder encoder_of(const LogView& log, const tokenizer::Tokenizer& tokenizer) {
  const record::Manifest& m = log.manifest();
  return {tokenizer, m.recipe, static_cast<std::int32_t>(m.eos),
          static_cast<std::int32_t>(log.config().vocab), m.template_};
}

}  // namespace aftune::audit
