#pragma once

#include <cstdlib>
#include <fstream>
#include <string>

#include "base/error.h"
#include "base/files.h"
#include "train/trainer.h"

namespace aftune::testing_support {

/// A training job of a few milliseconds a step: a Llama of 2 layers with weights from the seed, and 11 rows.
class SmallJob {
 public:
  explicit SmallJob(const fs::path& folder) : folder_(folder) {
    fs::create_directories(folder_ / "base");
    put("base/config.json", config());
    put("base/tokenizer.json", read_file(tests_folder() / "vectors/tokenizer/gpt2/tokenizer.json", 1 << 20));
    put("base/generation_config.json", "{}\n");
    std::string rows;
    for (int i = 0; i < 11; ++i)
      rows += cat(R"({"text":"row )", i, " of the data, ", std::string(static_cast<std::size_t>(i), 'x'),
                  "\"}\n");
    put("rows.jsonl", rows);
    put("eval.jsonl", "{\"text\":\"an evaluation row\"}\n{\"prompt\":\"one \",\"completion\":\"two\"}\n");
  }

  /// Where it was when this was compiled, unless the environment knows better: on another machine.
  static fs::path tests_folder() {
    const char* const elsewhere = std::getenv("AFTUNE_TESTS_DIR");
    return elsewhere != nullptr ? elsewhere : AFTUNE_TESTS_DIR;
  }
  static std::string config(const std::string& dtype = "float32") {
    return R"({"model_type":"llama","architectures":["LlamaForCausalLM"],"vocab_size":512,"hidden_size":16,)"
           R"("intermediate_size":24,"num_hidden_layers":2,"num_attention_heads":2,"num_key_value_heads":1,)"
           R"("max_position_embeddings":64,"tie_word_embeddings":true,"eos_token_id":2,"torch_dtype":")" +
           dtype + "\"}\n";
  }

  /// Recorded in <folder>/<name>.aft, exported to <folder>/<name>.
  train::TrainOptions options(const std::string& name) const {
    train::TrainOptions o;
    o.model = folder_ / "base";
    o.data = folder_ / "rows.jsonl";
    o.out = folder_ / name;
    o.recipe.init = true;
    o.recipe.steps = 7;
    o.recipe.batch_size = 3;
    o.recipe.seq_len = 24;
    o.recipe.seed = 5;
    o.recipe.lr = 1e-2;
    o.recipe.clip_norm = 1.0;
    o.steps_per_block = 2;
    o.record = train::RecordOptions{.trace = trace(name), .snapshot_interval = 2};
    o.run_id = "00112233445566778899aabbccddeeff";
    o.created = 1700000000;
    o.quiet = true;
    return o;
  }
  fs::path trace(const std::string& name) const { return folder_ / (name + ".aft"); }
  std::string log(const std::string& name) const { return read_file(trace(name) / "log.jsonl", 1 << 24); }
  const fs::path& folder() const { return folder_; }
  void put(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name, std::ios::binary) << text;
  }

 private:
  fs::path folder_;
};

}  // namespace aftune::testing_support
