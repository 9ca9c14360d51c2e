#include "model/folder.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "model/config.h"
#include "scratch.h"

namespace aftune::model {
namespace {

/// A model folder that is written file by file.
struct Folder {
  testing_support::Scratch scratch{"folder"};

  void shard(const std::string& file, const std::vector<std::string>& tensors) const {
    std::vector<TensorSpec> specs;
    for (const std::string& name : tensors) specs.push_back({name, DType::kF32, {1}});
    write_safetensors(scratch / file, specs, [](const TensorSpec& s) {
      static float value;
      value = static_cast<float>(s.name.size());
      return ByteView(reinterpret_cast<const std::byte*>(&value), 4);
    });
  }
  void index(const std::string& weight_map) const {
    write_file(scratch / "model.safetensors.index.json",
               cat(R"({"metadata":{"total_size":8},"weight_map":)", weight_map, "}"));
  }
  Checkpoint open() const { return Checkpoint::open(scratch.path()); }

  void expect_refused(Fault fault, const std::string& part) const {
    try {
      open();
      FAIL() << "accepted; expected: " << part;
    } catch (const Error& e) {
      EXPECT_EQ(e.fault(), fault) << e.what();
      EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << e.what();
    }
  }
};

TEST(Folder, OneFile) {
  const Folder folder;
  folder.shard("model.safetensors", {"a", "bb"});
  EXPECT_EQ(folder.open().entries().size(), 2u);
  EXPECT_EQ(folder.open().find("c"), nullptr);
}

// The two spellings of GPT-2, of which the first was published without the prefix and with masks.
TEST(Folder, NamesOfGpt2MayLeaveTheirPrefixOut) {
  const Config gpt2 = Config::parse(R"({"model_type":"gpt2"})"),
               llama = Config::parse(R"({"model_type":"llama"})");
  using Names = std::vector<std::string>;
  const auto names = [](const Config& config, const Names& in_file) {
    const Folder folder;
    folder.shard("model.safetensors", in_file);
    Names list;
    const Checkpoint checkpoint = Checkpoint::open(folder.scratch.path(), config);
    for (const auto& [name, entry] : checkpoint.entries()) {
      EXPECT_EQ(entry.spec.name, name);
      list.push_back(name);
    }
    return list;
  };
  const Names published = {"h.0.attn.bias", "lm_head.weight", "wte.weight"};
  EXPECT_EQ(names(gpt2, published),
            (Names{"lm_head.weight", "transformer.h.0.attn.bias", "transformer.wte.weight"}));
  EXPECT_EQ(names(llama, published), published);
  // What stands beside names that have it is no tensor of the model, as for transformers.
  const Names saved = {"transformer.wte.weight", "wpe.weight"};
  EXPECT_EQ(names(gpt2, saved), saved);
}

TEST(Folder, Shards) {
  const Folder folder;
  folder.shard("model-00001-of-00002.safetensors", {"a", "ccc"});
  folder.shard("model-00002-of-00002.safetensors", {"bb"});
  folder.index(R"({"a":"model-00001-of-00002.safetensors","bb":"model-00002-of-00002.safetensors",
                   "ccc":"model-00001-of-00002.safetensors"})");
  const Checkpoint checkpoint = folder.open();
  ASSERT_EQ(checkpoint.entries().size(), 3u);
  for (const auto& [name, entry] : checkpoint.entries())
    EXPECT_EQ(load_le<float>(entry.bytes.data()), static_cast<float>(name.size()));
}

TEST(Folder, TheOneFileWinsOverAnIndex) {
  const Folder folder;
  folder.shard("model.safetensors", {"a"});
  folder.index(R"({"a":"absent.safetensors"})");
  EXPECT_EQ(folder.open().entries().size(), 1u);
}

TEST(Folder, AbsenceIsTheUsersMistake) {
  const Folder folder;
  folder.expect_refused(Fault::kUsage, "neither model.safetensors nor");
  folder.index(R"({"a":"absent.safetensors"})");
  folder.expect_refused(Fault::kUsage, "absent.safetensors");
}

TEST(Folder, ShardsAreFilesBesideTheIndex) {
  const Folder folder;
  folder.shard("x.safetensors", {"a"});
  for (const char* name :
       {"../x.safetensors", "/etc/passwd", "sub/x.safetensors", "", ".", "..", ".hidden"}) {
    folder.index(cat(R"({"a":")", name, "\"}"));
    folder.expect_refused(Fault::kEvidence, "not a plain file name");
  }
  folder.index(R"({"a":"x.safetensors\u0000"})");
  folder.expect_refused(Fault::kEvidence, "not a plain file name");
}

TEST(Folder, TheIndexMustBeOne) {
  const Folder folder;
  folder.shard("x.safetensors", {"a"});
  for (const char* map : {"[]", "null", "1", R"({"a":1})", R"({"a":["x.safetensors"]})"}) {
    folder.index(map);
    folder.expect_refused(Fault::kEvidence, "weight_map");
  }
  folder.index(R"({"a":"x.safetensors","a":"y.safetensors"})");
  folder.expect_refused(Fault::kEvidence, "duplicate");
}

TEST(Folder, IndexAndShardsMustAgree) {
  const Folder folder;
  folder.shard("x.safetensors", {"a", "bb"});
  folder.shard("y.safetensors", {"ccc"});
  folder.index(R"({"a":"x.safetensors","bb":"x.safetensors","ccc":"y.safetensors","d":"y.safetensors"})");
  folder.expect_refused(Fault::kEvidence, "\"d\" is missing");
  folder.index(R"({"a":"x.safetensors","ccc":"y.safetensors"})");
  folder.expect_refused(Fault::kEvidence, "\"bb\" is not listed");
  folder.index(R"({"a":"x.safetensors","bb":"y.safetensors","ccc":"y.safetensors"})");
  folder.expect_refused(Fault::kEvidence, "\"bb\" is not listed");
  folder.shard("y.safetensors", {"a", "ccc"});  // a tensor that is in both
  folder.index(R"({"a":"x.safetensors","bb":"x.safetensors","ccc":"y.safetensors"})");
  folder.expect_refused(Fault::kEvidence, "\"a\" is not listed");
}

}  // namespace
}  // namespace aftune::model
