// The parameters of the last state, which show what was exported, whatever cells were drawn.
#include <gtest/gtest.h>

#include <functional>

#include "attacks/answer.h"
#include "attacks/expect.h"
#include "attacks/forgery.h"
#include "audit/block_lists.h"
#include "audit/disclosure.h"
#include "base/error.h"
#include "hash/blake3.h"
#include "record/leaves.h"
#include "record/salts.h"
#include "trace/layout.h"
#include "trace/segment.h"

namespace aftune::attacks {
namespace {

using audit::Code;
using audit::Outcome;
using By = ForgedAnswer::By;

constexpr char kSecret = 'a';

RunShape shape_of(bool hiding) {
  RunShape shape;
  if (hiding) shape.secret = std::string(64, kSecret);
  return shape;
}

// A run that ships its last state rounded to bfloat16, of which `lie` changes the first tensor of the last
// block.
RecordedRun rounded(bool hiding = false, const std::function<void(Buffer&)>& lie = {}) {
  Forgery forgery(fresh_copy(shape_of(hiding)));
  const trace::Layout layout{forgery.run().trace()};
  audit::LogView log(forgery.leaves());
  log.parse_manifest();
  log.parse_config();
  const record::SecretSalts salts(digest_from_hex(std::string(64, kSecret)));
  if (hiding) log.use_salts(salts);
  const record::Grid& grid = log.grid();
  const trace::SegmentReader segment(layout.segment(grid.step_blocks()));
  forgery.edit_final([&](record::Final& final) {
    record::TensorList& exported = final.exported;
    exported.dtype = DType::kBF16;
    for (int block = 0; block < grid.blocks(); ++block) {
      const audit::BlockLists lists(log, block);
      for (std::size_t i = 0; i < lists.positions().size(); ++i) {
        const TensorSpec& spec = lists.parameter_specs()[i];
        Buffer values(element_count(spec.shape));
        segment.read(trace::state_dataset(spec.name), spec.dtype, spec.shape, values.mutable_bytes());
        if (lie && i == 0 && block + 1 == grid.blocks()) lie(values);
        exported.digests[lists.positions()[i]] = log.published(log.exported_salt(final, block, spec.name),
                                                               hash::blake3(narrow(DType::kBF16, values)));
      }
    }
    std::vector<TensorSpec> specs = log.tensors();
    for (TensorSpec& spec : specs) spec.dtype = DType::kBF16;
    exported.root = record::tensor_root(specs, exported.digests);
  });
  return forgery.seal();
}

audit::Policy wanted() {
  return audit::parse_policy(R"({"version":1,"require_final_params":true})");
}

// A cell that is none of the last row.
audit::Challenge one_cell(const RecordedRun& run) {
  audit::Challenge challenge = challenge_of(run, {});
  challenge.must = {{1, 0}};
  return challenge;
}

audit::Verdict verdict_of(const fs::path& evidence, const audit::Challenge& challenge) {
  audit::VerifyOptions options = options_for(evidence, challenge);
  options.policy = wanted();
  return audit::verify(options);
}

TEST(FinalParams, AloneShowTheWholeExport) {
  for (const bool hiding : {false, true})
    for (const RecordedRun& run : {fresh_copy(shape_of(hiding)), rounded(hiding)}) {
      const audit::Challenge challenge = one_cell(run);
      const audit::Verdict verdict = verdict_of(open_with_final(run, challenge), challenge);
      EXPECT_EQ(verdict.outcome, Outcome::kAccept) << describe(verdict);
      EXPECT_FALSE(leaves_open(verdict, "export: that the export")) << describe(verdict);
    }
}

TEST(FinalParams, ThatDoNotComeAreAbsentIfThePolicyAsksForThem) {
  rows({10, 23});
  const RecordedRun run = rounded();
  const audit::Challenge challenge = one_cell(run);
  expect_only(verdict_of(open_evidence(run, challenge, true), challenge), Code::kAbsent, "export");
  const ForgedAnswer honest(open_with_final(run, challenge));
  int seen = 0;
  for (const auto& [path, d] : honest.datasets) {
    if (!path.starts_with("/final/")) continue;
    ++seen;
    ForgedAnswer forged = honest;
    forged.datasets.erase(path);
    expect_only(verdict_of(forged.write(By::kProvider), challenge), Code::kAbsent);
  }
  EXPECT_GT(seen, 10);
}

TEST(FinalParams, AreThoseOfTheLastState) {
  rows({10, 23});
  for (const bool hiding : {false, true}) {
    const RecordedRun run = rounded(hiding);
    const audit::Challenge challenge = one_cell(run);
    const ForgedAnswer honest(open_with_final(run, challenge));
    for (const auto& [path, d] : honest.datasets) {
      if (!path.starts_with("/final/")) continue;
      // The lowest bit, which is rounded away, and the highest.
      for (const std::size_t bit : {std::size_t{0}, std::size_t{31}}) {
        ForgedAnswer forged = honest;
        forged.flip(path, bit);
        expect_among(verdict_of(forged.write(By::kProvider), challenge), Code::kEvidence, "evidence /final/");
        // No one is convicted of what someone else put there.
        const audit::Verdict by_courier = verdict_of(forged.write(By::kCourier), challenge);
        EXPECT_EQ(by_courier.outcome, Outcome::kIncomplete) << describe(by_courier);
        EXPECT_NE(find_reason(by_courier, Code::kUnattributed), nullptr);
        EXPECT_EQ(find_reason(by_courier, Code::kExport), nullptr);
      }
    }
  }
}

// One weight of the export is another than the last state's, in a block of which no cell is drawn.
TEST(FinalParams, ConvictAnExportOfOtherWeights) {
  rows({23});
  const RecordedRun run = rounded(), lied = rounded(false, [](Buffer&values) { values[0] += 1; });
  const audit::Challenge challenge = one_cell(lied);
  // Without them nobody sees it, which is said; an honest program does not open them.
  const audit::Verdict blind = audit::verify(options_for(open_evidence(lied, challenge, true), challenge));
  EXPECT_TRUE(leaves_open(blind, "export: that the export")) << describe(blind);
  EXPECT_THROW(open_with_final(lied, challenge), Error);
  ForgedAnswer answer(open_evidence(lied, challenge, true));
  for (const auto& [path, d] : ForgedAnswer(open_with_final(run, one_cell(run))).datasets)
    if (path.starts_with("/final/")) answer.datasets[path] = d;
  for (const By liar : {By::kProvider, By::kCourier})
    expect_among(verdict_of(answer.write(liar), challenge), Code::kExport, "log line");
  // A trace at hand has them.
  audit::VerifyOptions options = lied.options();
  options.data.reset();
  options.exported.reset();
  options.plan = {.uniform = 1};
  options.seed = {1};
  options.policy = wanted();
  expect_among(audit::verify(options), Code::kExport, "log line");
}

TEST(FinalParams, OfATraceAtHandNeedNoCells) {
  audit::VerifyOptions options = rounded().options();
  options.exported.reset();  // the fixture ships F32
  options.plan = {.uniform = 1};
  options.seed = {1};
  options.policy = wanted();
  const audit::Verdict verdict = audit::verify(options);
  EXPECT_EQ(verdict.outcome, Outcome::kAccept) << describe(verdict);
}

TEST(FinalParams, AreCountedAsDisclosed) {
  const RecordedRun run = rounded();
  const trace::Layout layout{run.trace()};
  const audit::Challenge challenge = one_cell(run);
  open_evidence(run, challenge);
  const auto before = audit::disclosure_of_trace(layout);
  const ForgedAnswer answer(open_with_final(run, challenge));
  open_evidence(run, challenge);
  const auto after = audit::disclosure_of_trace(layout);
  EXPECT_FALSE(before->final_params);
  EXPECT_TRUE(after->final_params);
  std::uint64_t bytes = 0;
  for (const auto& [path, d] : answer.datasets)
    if (path.starts_with("/final/")) bytes += d.bytes.size();
  EXPECT_EQ(after->bytes, before->bytes + bytes);
}

}  // namespace
}  // namespace aftune::attacks
