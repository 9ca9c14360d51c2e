#include "train/trainer.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/json.h"
#include "hash/blake3.h"
#include "model/folder.h"
#include "scratch.h"
#include "small_job.h"
#include "trace/log.h"
#include "train/export.h"

namespace aftune::train {
namespace {

using testing_support::Scratch;
using testing_support::SmallJob;
using trace::Log;

const std::function<void(const StepReport&)> kSilent;

std::string message_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& e) {
    return e.what();
  }
  ADD_FAILURE() << "no error";
  return "";
}

struct TrainerTest : testing::Test {
  Scratch scratch{"trainer"};
  SmallJob job{scratch.path()};

  std::string weights(const std::string& name) const {
    return read_file(job.folder() / name / "model.safetensors", 1 << 24);
  }
};

TEST_F(TrainerTest, WhatIsExportedIsWhatTheLastLeafSays) {
  std::vector<StepReport> reports;
  const TrainSummary summary = train(job.options("a"), [&](const StepReport& r) { reports.push_back(r); });
  EXPECT_EQ(summary.steps, 7);
  EXPECT_FALSE(summary.interrupted);
  ASSERT_EQ(reports.size(), 7u);
  EXPECT_LT(reports.back().loss, reports.front().loss);

  const Log log = Log::read(job.trace("a") / "log.jsonl");
  const record::Manifest m = record::parse_manifest(log.leaves.front());
  const std::vector<TensorSpec> specs = model::all_tensors(model::Config::parse(m.config));
  const record::Final f = record::parse_final(log.leaves.back(), m.grid, specs.size());
  const model::Checkpoint exported = model::Checkpoint::open(job.folder() / "a");
  EXPECT_EQ(exported.entries().size(), specs.size());
  for (std::size_t i = 0; i < specs.size(); ++i)
    EXPECT_EQ(hash::blake3(exported.find(specs[i].name)->bytes), f.exported.digests[i]) << specs[i].name;
  EXPECT_EQ(f.exported.root, record::tensor_root(specs, f.exported.digests));
  std::map<std::string, Digest> files;
  for (const fs::directory_entry& e : fs::directory_iterator(job.folder() / "a"))
    files[e.path().filename()] = hash::blake3(read_file(e.path(), 1 << 24));
  EXPECT_EQ(files, f.files);
  EXPECT_EQ(files.size(), 4u);  // weights, config, tokenizer, generation config
  EXPECT_EQ(read_file(job.folder() / "a/config.json", 1 << 20), m.config);
}

TEST_F(TrainerTest, AnExportIsABaseForTheNextRun) {
  train(job.options("a"), kSilent);
  TrainOptions next = job.options("b");
  next.model = job.folder() / "a";
  next.recipe.init = false;
  train(next, kSilent);
  const record::Manifest first =
      record::parse_manifest(Log::read(job.trace("a") / "log.jsonl").leaves.front());
  const Log log = Log::read(job.trace("b") / "log.jsonl");
  const record::Manifest m = record::parse_manifest(log.leaves.front());
  const record::Final f = record::parse_final(Log::read(job.trace("a") / "log.jsonl").leaves.back(),
                                              first.grid, first.base.digests.size());
  EXPECT_EQ(m.base.root, f.exported.root);
  EXPECT_NE(m.base.root, first.base.root);
}

// Nothing about how a run is executed may leave a mark in the log or in the weights.
TEST_F(TrainerTest, ExecutionLeavesNoMark) {
  train(job.options("a"), kSilent);
  const std::string log = job.log("a"), expected = weights("a");
  int run = 0;
  const auto same = [&](const std::function<void(TrainOptions&)>& change) {
    const std::string name = cat("run", run++);
    TrainOptions o = job.options(name);
    change(o);
    train(o, kSilent);
    EXPECT_EQ(weights(name), expected) << name;
    if (o.record) {
      EXPECT_TRUE(job.log(name) == log) << name;
    }
  };
  same([](TrainOptions& o) { o.threads = 2; });
  same([](TrainOptions& o) { o.threads = 3; });
  same([](TrainOptions& o) { o.micro_batch = 1; });
  same([](TrainOptions& o) { o.micro_batch = 2; });
  same([](TrainOptions& o) { o.micro_batch = 100; });
  same([](TrainOptions& o) { o.recompute = true; });
  same([](TrainOptions& o) { o.record->snapshot_interval = 0; });
  same([](TrainOptions& o) { o.record->store_boundaries = true; });
  same([](TrainOptions& o) { o.record->compress = true; });
  same([](TrainOptions& o) { o.record.reset(); });
}

TEST_F(TrainerTest, StoppedAndResumedItIsTheSameRun) {
  TrainOptions o = job.options("a");
  o.eval_data = job.folder() / "eval.jsonl";
  o.eval_every = 3;
  train(o, kSilent);
  const std::string log = job.log("a"), expected = weights("a");
  for (std::int64_t stop = 0; stop < 7; ++stop) {
    const std::string name = cat("stopped", stop);
    TrainOptions first = o;
    first.out = job.folder() / name;
    first.record->trace = job.trace(name);
    EXPECT_THROW(train(first,
                       [&](const StepReport& r) {
                         if (r.step == stop) throw Error(Fault::kSystem, "stop");
                       }),
                 Error);
    EXPECT_FALSE(fs::exists(first.out));
    first.record->resume = true;
    first.run_id = "";   // taken from the trace
    first.created = 17;  // likewise
    train(first, kSilent);
    EXPECT_TRUE(job.log(name) == log) << name;
    EXPECT_EQ(weights(name), expected) << name;
  }
}

TEST_F(TrainerTest, AFinishedRunResumedOnlyRestoresALostExport) {
  TrainOptions o = job.options("a");
  train(o, kSilent);
  const std::string log = job.log("a"), expected = weights("a");
  o.record->resume = true;
  EXPECT_EQ(train(o, [](const StepReport&) { FAIL(); }).steps, 7);
  fs::remove_all(o.out);
  train(o, kSilent);
  EXPECT_EQ(weights("a"), expected);
  EXPECT_TRUE(job.log("a") == log);
  job.put("a/config.json", "{}");
  EXPECT_NE(message_of([&] { train(o, kSilent); }).find("is not what this run exports"), std::string::npos);
}

TEST_F(TrainerTest, EvaluationIsInTheLog) {
  TrainOptions o = job.options("a");
  o.eval_data = job.folder() / "eval.jsonl";
  o.eval_every = 3;
  std::string when;
  train(o, [&](const StepReport& r) { when += r.eval_loss ? '1' : '0'; });
  EXPECT_EQ(when, "0010011");
  const Log log = Log::read(job.trace("a") / "log.jsonl");
  const record::Manifest m = record::parse_manifest(log.leaves.front());
  EXPECT_EQ(m.eval_rows, 2);
  EXPECT_EQ(m.eval_every, 3);
  const auto at = [&](std::int64_t t) {
    return record::parse_step(log.leaves[static_cast<std::size_t>(m.grid.step_leaf(t))], m.grid).eval_loss;
  };
  EXPECT_FALSE(at(1).has_value());
  EXPECT_NE(at(6).value(), at(2).value());  // of other weights
}

TEST_F(TrainerTest, EpochsBecomeSteps) {
  TrainOptions o = job.options("a");
  o.recipe.steps = 0;
  o.epochs = 1.5;  // 17 of 11 rows, 3 a step
  EXPECT_EQ(make_manifest(o).recipe.steps, 6);
  o.recipe.packing = true;
  o.recipe.seq_len = 64;
  const record::Manifest m = make_manifest(o);
  EXPECT_GE(m.recipe.steps, 1);
  EXPECT_LE(m.recipe.steps, 6);
  o.epochs = 0;
  EXPECT_NE(message_of([&] { make_manifest(o); }).find("--epochs"), std::string::npos);
}

TEST_F(TrainerTest, PackingTrainsAndResumes) {
  TrainOptions o = job.options("a");
  o.recipe.packing = true;
  o.recipe.batch_size = 2;
  o.recipe.seq_len = 60;
  train(o, kSilent);
  TrainOptions again = o;
  again.out = job.folder() / "b";
  again.record->trace = job.trace("b");
  EXPECT_THROW(train(again,
                     [](const StepReport& r) {
                       if (r.step == 4) throw Error(Fault::kSystem, "stop");
                     }),
               Error);
  again.record->resume = true;
  train(again, kSilent);
  EXPECT_TRUE(job.log("a") == job.log("b"));
}

TEST_F(TrainerTest, BadJobsAreRefusedBeforeAnythingIsWritten) {
  const auto refused = [&](const std::function<void(TrainOptions&)>& change, const std::string& part) {
    TrainOptions o = job.options("a");
    change(o);
    const std::string message = message_of([&] { train(o, kSilent); });
    EXPECT_NE(message.find(part), std::string::npos) << message;
    EXPECT_FALSE(fs::exists(job.trace("a"))) << message;
    EXPECT_FALSE(fs::exists(job.folder() / "a")) << message;
  };
  refused([](TrainOptions& o) { o.recipe.seq_len = 65; }, "--seq-len 65 is beyond the 64 positions");
  refused([](TrainOptions& o) { o.layers_per_block = 0; }, "--layers-per-block");
  refused([](TrainOptions& o) { o.recipe.lr = -1; }, "\"lr\"");
  refused([](TrainOptions& o) { o.recipe.optimizer = "lion"; }, "optimizer");
  refused([](TrainOptions& o) { o.run_id = "12"; }, "--run-id");
  refused([](TrainOptions& o) { o.nonce = "xy"; }, "--nonce");
  refused([](TrainOptions& o) { o.recipe.init = false; }, "model.safetensors");
  refused([&](TrainOptions& o) { o.data = job.folder() / "absent"; }, "absent");
  refused([&](TrainOptions& o) { o.out = job.folder() / "base"; }, "base: is the model");
  refused([&](TrainOptions& o) { o.out = job.trace("a"); }, "a.aft: is the trace");
  refused([&](TrainOptions& o) { o.out = job.folder(); }, ": exists and is not empty");
  refused([&](TrainOptions& o) { o.out = job.folder() / "rows.jsonl"; },
          "rows.jsonl: exists and is not a folder");
  refused([&](TrainOptions& o) { o.record->trace = job.folder() / "base"; },
          "base: exists and is not empty; use --resume");
  job.put("rows.jsonl", "{\"text\":\"fine\"}\n{\"txt\":\"not\"}\n");
  refused([](TrainOptions&) {}, "rows.jsonl: row 2");
}

TEST_F(TrainerTest, ARunThatBecomesNonFiniteStopsAndExportsNothing) {
  TrainOptions o = job.options("a");
  o.recipe.lr = 1e30;
  o.recipe.clip_norm = 0;
  const std::string message = message_of([&] { train(o, kSilent); });
  EXPECT_NE(message.find("non-finite"), std::string::npos) << message;
  EXPECT_EQ(message.rfind("step ", 0), 0u) << message;
  EXPECT_FALSE(fs::exists(o.out));
}

TEST(Export, TheDtypeOfTheConfigBecomesFloat32) {
  EXPECT_EQ(exported_config("{ \"torch_dtype\" : \"float32\" }"), "{ \"torch_dtype\" : \"float32\" }");
  EXPECT_EQ(exported_config("{\"b\":1.5,\"a\":1e-05}"), "{\"b\":1.5,\"a\":1e-05}");
  EXPECT_EQ(exported_config(R"({"b":1,"torch_dtype":"bfloat16","a":1e-05})"),
            "{\n  \"b\": 1,\n  \"torch_dtype\": \"float32\",\n  \"a\": 1e-05\n}\n");
  EXPECT_EQ(exported_config(R"({"dtype":"float16"})"), "{\n  \"dtype\": \"float32\"\n}\n");
}

}  // namespace
}  // namespace aftune::train
