// Runs on images: every pixel, class and constant that a provider could bend, and rows that come with the
// cells.
#include <gtest/gtest.h>

#include <cmath>

#include "attacks/answer.h"
#include "attacks/expect.h"
#include "attacks/forgery.h"
#include "base/error.h"
#include "data/rows.h"
#include "hash/blake3.h"
#include "model/config.h"
#include "model/image_processor.h"
#include "trace/layout.h"
#include "train/inputs.h"

namespace aftune::attacks {
namespace {

using audit::Code;
using audit::Outcome;
using By = ForgedAnswer::By;

constexpr std::int64_t kPositions = 5;  // of an image of 8 x 8 pixels in patches of 4 x 4

class Images : public testing::TestWithParam<const char*> {
 protected:
  static RunShape shape(bool boundaries) { return {.family = GetParam(), .store_boundaries = boundaries}; }
  static RunShape lora(bool boundaries) {
    RunShape s = shape(boundaries);
    s.init = false;
    s.lora = std::string_view(GetParam()) == "dinov2-swiglu" ? "q,o,down" : "q,k,v,o,up,down";
    s.lora_dropout = 0.25;
    return s;
  }
  static std::string own_tensor() {
    return std::string_view(GetParam()) == "vit" ? "vit.encoder.layer.1.layernorm_after.bias"
                                                 : "dinov2.encoder.layer.1.layer_scale2.lambda1";
  }
};

INSTANTIATE_TEST_SUITE_P(Of, Images, testing::Values("vit", "dinov2", "dinov2-swiglu"), [](const auto& test) {
  return std::string_view(test.param) == "dinov2-swiglu" ? "swiglu" : std::string(test.param);
});

void expect_accepted(const audit::Verdict& verdict) {
  EXPECT_EQ(verdict.outcome, Outcome::kAccept) << describe(verdict);
  EXPECT_EQ(verdict.checked, verdict.cells);
}

data::Dataset dataset_of(const RecordedRun& run) {
  const auto config = model::Config::parse(read_file(run.model() / "config.json", 1 << 20));
  return train::read_dataset(run.data(), config, model::read_normalisation(run.model(), config));
}

audit::Policy pinning(const RecordedRun& run, const std::string& more = "") {
  return audit::parse_policy(
      cat(R"({"version":1,"data_root":")", to_hex(dataset_of(run).root()), '"', more, "}"));
}

TEST_P(Images, EveryCellOfAnHonestRunIsAccepted) {
  for (const bool boundaries : {true, false})
    for (const char* numerics : {"i14", "f32"}) {
      RunShape full = shape(boundaries), adapters = lora(boundaries);
      full.numerics = adapters.numerics = numerics;
      full.evaluate = true;
      full.layers_per_block = boundaries ? 2 : 1;
      expect_accepted(audit::verify(fresh_copy(full).options()));
      expect_accepted(audit::verify(fresh_copy(adapters).options()));
    }
}

TEST_P(Images, FromBaseWeightsOfSixteenBits) {
  RunShape run = shape(false);
  run.init = false;
  run.base_dtype = "BF16";
  expect_accepted(audit::verify(fresh_copy(run).options()));
}

TEST_P(Images, EvidenceOfEveryCellIsAccepted) {
  for (const RunShape& of : {shape(false), lora(true)})
    for (const char* secret : {"", "a"}) {
      RunShape hidden = of;
      if (*secret != '\0') hidden.secret = std::string(64, *secret);
      const RecordedRun run = fresh_copy(hidden);
      const audit::Challenge challenge = challenge_of(run, {.all = true});
      audit::VerifyOptions options = options_for(open_evidence(run, challenge), challenge);
      options.model = base_of(run);
      expect_accepted(audit::verify(options));
    }
}

TEST_P(Images, RowsAloneEstablishWhatThePixelsAreOf) {
  const RecordedRun run = fresh_copy(shape(false));
  const audit::Challenge challenge = challenge_of(run, {.all = true});
  const fs::path evidence = open_with_rows(run, challenge);
  audit::VerifyOptions options = options_for(evidence, challenge);
  options.policy = pinning(run);
  const audit::Verdict verdict = audit::verify(options);
  expect_accepted(verdict);
  EXPECT_FALSE(leaves_open(verdict, "data:")) << describe(verdict);
  EXPECT_EQ(ForgedAnswer(evidence).datasets.count(audit::kEvidenceTokenizer), 0u);
}

TEST_P(Images, AnAlteredElementOfItsOwnTensorIsFound) {
  rows({25});
  for (const bool boundaries : {true, false}) {
    Forgery forgery(fresh_copy(shape(boundaries)));
    forgery.edit_floats(1, trace::state_dataset(own_tensor()),
                        [](std::span<float> v) { v[3] = std::nextafter(v[3], 10.0f); });
    forgery.rehash_state(1);
    const audit::Verdict verdict = audit::verify(forgery.seal().options());
    expect_among(verdict, Code::kUpdate, "cell 2,0 state 1");
    const audit::Reason* reason = find_reason(verdict, Code::kUpdate);
    ASSERT_NE(reason, nullptr);
    EXPECT_NE(reason->detail.find(own_tensor() + " element ["), std::string::npos) << reason->detail;
  }
}

TEST_P(Images, AnAlteredPixelIsFound) {
  rows({15, 25});
  const std::string pixels = trace::step_dataset(1, "pixels");
  const auto bend = [](std::span<float> v) { v[40] += 0.125f; };
  // Not the one that the log speaks of.
  Forgery aside(fresh_copy(shape(true)));
  aside.edit_floats(1, pixels, bend);
  expect_among(audit::verify(aside.seal().options()), Code::kEvidence, "/steps/1/pixels");
  // Spoken of by the log, but not the client's.
  Forgery forgery(fresh_copy(shape(true)));
  Digest digest;
  forgery.edit_floats(1, pixels, [&](std::span<float> v) {
    bend(v);
    digest = hash::blake3(std::as_bytes(v));
  });
  forgery.edit_step(1, [&](record::Step& step) { step.token_ids = digest; });
  const audit::Verdict verdict = audit::verify(forgery.seal().options());
  expect_among(verdict, Code::kData, "log line 4");
  expect_among(verdict, Code::kNorm, "cell 0,0 step 1 unit 0");
}

TEST_P(Images, APixelThatNoImageHasIsFound) {
  rows({18});
  Forgery forgery(fresh_copy(shape(true)));
  Digest digest;
  forgery.edit_floats(1, trace::step_dataset(1, "pixels"), [&](std::span<float> v) {
    v[7] = NAN;
    digest = hash::blake3(std::as_bytes(v));
  });
  forgery.edit_step(1, [&](record::Step& step) { step.token_ids = digest; });
  expect_among(audit::verify(forgery.seal().options()), Code::kData, "log line 4");
}

TEST_P(Images, AnAlteredClassIsFound) {
  rows({15});
  const std::string labels = trace::step_dataset(1, "labels");
  const auto with_labels = [&](const std::function<void(std::vector<std::int32_t>&)>& edit) {
    Forgery forgery(fresh_copy(shape(true)));
    Digest digest;
    forgery.edit_ints(1, labels, [&](std::vector<std::int32_t>& list) {
      edit(list);
      digest = data::ints_digest(list);
    });
    forgery.edit_step(1, [&](record::Step& step) { step.labels = digest; });
    return audit::verify(forgery.seal().options());
  };
  const audit::Verdict other = with_labels([](auto& list) { list[0] = (list[0] + 1) % 4; });
  expect_among(other, Code::kData, "log line 4");
  expect_among(other, Code::kNorm, "cell 3,0 step 1");
  // Of a position that has none, in the place of one that has.
  const audit::Verdict moved = with_labels([](auto& list) { std::swap(list[0], list[1]); });
  expect_among(moved, Code::kData, "log line 4");
  const audit::Verdict beyond = with_labels([](auto& list) { list[kPositions] = 4; });
  expect_among(beyond, Code::kData, "log line 4");
}

// The client's pixels, normalised by other constants: nothing else would show it.
TEST_P(Images, AlteredNormalisationIsFound) {
  rows({14, 15});
  const RecordedRun honest = fresh_copy(shape(true));
  const auto own = model::read_normalisation(
      honest.model(), model::Config::parse(read_file(honest.model() / "config.json", 1 << 20)));
  const std::string pin = cat(R"(,"images":")", to_hex(record::digest_of(own)), '"');

  Forgery forgery(fresh_copy(shape(true)));
  forgery.edit_manifest([](record::Manifest& m) { m.images->std[1] = 0.26f; });
  const RecordedRun& forged = forgery.seal();
  expect_among(audit::verify(forged.options()), Code::kData, "log line 1");
  audit::VerifyOptions options = forged.options();
  options.model.reset();
  options.data.reset();
  options.exported.reset();
  options.policy = pinning(honest, pin);
  expect_among(audit::verify(options), Code::kPolicy, "manifest images");
  // A run that was really made so is as consistent as can be.
  const RecordedRun other = [&] {
    RunShape s = shape(true);
    s.seed = 1234;
    return fresh_copy(s);
  }();
  options = other.options();
  options.policy = pinning(other, pin);
  EXPECT_EQ(audit::verify(options).outcome, Outcome::kAccept);
  write_file(other.model() / "preprocessor_config.json", R"({"image_mean":[0.4,0.5,0.6],"image_std":0.3})");
  expect_among(audit::verify(other.options()), Code::kData, "log line 1");
}

TEST_P(Images, AnExportThatLooksAtOtherPixelsIsFound) {
  rows({23});
  const RecordedRun run = fresh_copy(shape(true));
  write_file(run.out() / "preprocessor_config.json", R"({"image_mean":0.5,"image_std":0.5})");
  expect_only(audit::verify(run.options()), Code::kExport, "preprocessor_config.json");
  fs::remove(run.out() / "preprocessor_config.json");
  expect_among(audit::verify(run.options()), Code::kExport, "preprocessor_config.json");
}

TEST_P(Images, ManifestsThatNoRunOnImagesHas) {
  rows({14});
  const auto refused = [&](const std::function<void(record::Manifest&)>& edit) {
    Forgery forgery(fresh_copy(shape(true)));
    forgery.edit_manifest(edit);
    expect_among(audit::verify(forgery.seal().options()), Code::kClosing, "log line 1");
  };
  refused([](record::Manifest& m) { m.images.reset(); });
  refused([](record::Manifest& m) { m.images->mean.pop_back(), m.images->std.pop_back(); });
  refused([](record::Manifest& m) { m.recipe.seq_len = 6; });
  refused([](record::Manifest& m) { m.recipe.packing = true; });
  refused([](record::Manifest& m) { m.recipe.eos = true; });
  refused([](record::Manifest& m) { m.template_ = "{{ x }}"; });
  refused([](record::Manifest& m) { m.bos = 1; });
}

TEST(ImagesBesideText, AManifestOfTextHasNone) {
  rows({14});
  Forgery forgery(fresh_copy({.store_boundaries = true}));
  forgery.edit_manifest([](record::Manifest& m) { m.images = {1.0 / 255, {0.5f}, {0.5f}}; });
  expect_among(audit::verify(forgery.seal().options()), Code::kClosing, "log line 1");
}

// A row that is not the client's, with whatever proof.
TEST_P(Images, RowsOfAnotherImageAreFound) {
  rows({15});
  const RecordedRun run = fresh_copy(shape(false));
  const audit::Challenge challenge = challenge_of(run, {.all = true});
  const fs::path evidence = open_with_rows(run, challenge);
  const std::string text = audit::evidence_row_dataset(2);
  ForgedAnswer answer(evidence);
  answer.flip(text, 8 * (answer.datasets.at(text).bytes.size() - 5));
  audit::VerifyOptions options = options_for(answer.write(By::kProvider), challenge);
  options.policy = pinning(run);
  expect_among(audit::verify(options), Code::kEvidence, text);
  // An image in the place of another, or what is none.
  for (const std::string& other : {dataset_of(run).row(3), std::string("{\"text\":\"a\"}")}) {
    ForgedAnswer put(evidence);
    const ByteView bytes = as_bytes(other);
    put.datasets[text] = {DType::kU8, {std::ssize(bytes)}, Bytes(bytes.begin(), bytes.end())};
    options = options_for(put.write(By::kProvider), challenge);
    options.policy = pinning(run);
    expect_among(audit::verify(options), Code::kEvidence, text);
  }
}

// Of the evidence of first cells, pixels that are not the committed ones, or too few.
TEST_P(Images, PixelsOfEvidenceAreThoseOfTheLog) {
  rows({10, 24});
  const RecordedRun run = fresh_copy(shape(false));
  const audit::Challenge challenge = challenge_of(run, {.all = true});
  const fs::path evidence = open_evidence(run, challenge);
  const std::string pixels = trace::step_dataset(0, "pixels");
  ForgedAnswer bent(evidence);
  bent.flip(pixels, 100);
  expect_among(audit::verify(options_for(bent.write(By::kProvider), challenge)), Code::kEvidence, pixels);
  ForgedAnswer short_of(evidence);
  auto& dataset = short_of.datasets.at(pixels);
  dataset.shape[0] -= 1;
  dataset.bytes.resize(dataset.bytes.size() / 2);
  expect_among(audit::verify(options_for(short_of.write(By::kProvider), challenge)), Code::kFormat, pixels);
  ForgedAnswer without(evidence);
  without.datasets.erase(pixels);
  expect_only(audit::verify(options_for(without.write(By::kProvider), challenge)), Code::kAbsent, pixels);
}

// Snapshots, threads and the size of micro-batches leave no mark.
TEST_P(Images, AnotherWayToTheSameLog) {
  rows({33});
  RunShape other = shape(true);
  other.snapshot_interval = 0;
  const auto log = [](const RecordedRun& run) {
    return read_file(trace::Layout{run.trace()}.log(), std::uint64_t{1} << 24);
  };
  EXPECT_EQ(log(fresh_copy(shape(false))), log(fresh_copy(other)));
}

}  // namespace
}  // namespace aftune::attacks
