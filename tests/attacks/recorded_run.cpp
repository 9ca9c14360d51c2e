#include "attacks/recorded_run.h"

#include <unistd.h>

#include <atomic>
#include <map>
#include <memory>

#include "base/error.h"
#include "base/json.h"
#include "images.h"
#include "model/folder.h"
#include "seal/note.h"
#include "trace/layout.h"
#include "trace/log.h"

namespace aftune::attacks {
namespace {

constexpr int kVocabulary = 257;  // one id a byte, and the end of a text

Json gpt2_config(const RunShape& shape) {
  return {{"model_type", "gpt2"},
          {"vocab_size", kVocabulary},
          {"n_embd", 16},
          {"n_inner", 24},
          {"n_layer", 2},
          {"n_head", 2},
          {"n_positions", 64},
          {"layer_norm_epsilon", 1e-5},
          {"activation_function", "gelu_new"},
          {"initializer_range", 0.1},
          {"eos_token_id", kVocabulary - 1},
          {"tie_word_embeddings", shape.tied},
          {"torch_dtype", "float32"}};
}

constexpr int kImageSize = 8, kClasses = 4;

std::string image_config_text(const RunShape& shape) {
  const bool dinov2 = shape.family != "vit";
  Json config = {{"model_type", dinov2 ? "dinov2" : "vit"},
                 {"hidden_size", 16},
                 {"num_hidden_layers", 2},
                 {"num_attention_heads", 2},
                 {"image_size", kImageSize},
                 {"patch_size", 4},
                 {"layer_norm_eps", 1e-6},
                 {"initializer_range", 0.1},
                 {"torch_dtype", "float32"}};
  for (int i = 0; i < kClasses; ++i) config["id2label"][std::to_string(i)] = cat("class ", i);
  if (dinov2) {
    config["mlp_ratio"] = 2;
    config["layerscale_value"] = 0.5;
    config["use_swiglu_ffn"] = shape.family == "dinov2-swiglu";
  } else {
    config["intermediate_size"] = 24;
  }
  return config.dump(2) + "\n";
}

void write_image_inputs(const RecordedRun& run, const RunShape& shape) {
  write_file(run.model() / "config.json", image_config_text(shape));
  write_file(run.model() / "preprocessor_config.json",
             R"({"image_mean":[0.4,0.5,0.6],"image_std":[0.2,0.25,0.3]})"
             "\n");
  fs::create_directories(run.root / "images");
  std::string rows;
  for (std::int64_t i = 0; i < shape.data_rows; ++i) {
    const auto pixels =
        testing_support::some_bytes(3 * kImageSize * kImageSize, static_cast<std::uint64_t>(i));
    write_file(run.root / "images" / cat(i, ".png"), testing_support::png_of(kImageSize, pixels));
    rows += i % 2 == 0 ? cat(R"({"image":"images/)", i, R"(.png","label":)", i % kClasses, "}\n")
                       : cat(R"({"image":"images/)", i, R"(.png","label":"class )", i % kClasses, "\"}\n");
  }
  write_file(run.data(), rows);
}

std::string config_text(const RunShape& shape) {
  if (shape.family == "gpt2") return gpt2_config(shape).dump(2) + "\n";
  Json config = {{"model_type", shape.family},
                 {"vocab_size", kVocabulary},
                 {"hidden_size", 16},
                 {"intermediate_size", 24},
                 {"num_hidden_layers", 2},
                 {"num_attention_heads", 2},
                 {"num_key_value_heads", 1},
                 {"max_position_embeddings", 64},
                 {"rms_norm_eps", 1e-5},
                 {"rope_theta", 10000.0},
                 {"initializer_range", 0.1},
                 {"eos_token_id", kVocabulary - 1},
                 {"tie_word_embeddings", shape.tied},
                 {"torch_dtype", "float32"}};
  if (shape.family == "llama") config["architectures"] = {"LlamaForCausalLM"};
  if (shape.family == "mistral") config["sliding_window"] = nullptr;
  if (shape.family == "qwen3") config["head_dim"] = 6;
  return config.dump(2) + "\n";
}

std::string utf8(int code) {
  if (code < 0x80) return std::string(1, static_cast<char>(code));
  return {static_cast<char>(0xC0 | code >> 6), static_cast<char>(0x80 | (code & 0x3F))};
}

// A byte-level BPE without merges: every byte is a token, written as GPT-2's alphabet has it.
std::string tokenizer_text() {
  Json vocabulary = Json::object();
  int moved = 256;
  for (int byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    vocabulary[utf8(printable ? byte : moved++)] = byte;
  }
  const Json level = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", true}};
  const Json end = {{"id", kVocabulary - 1}, {"content", "<end>"},  {"single_word", false}, {"lstrip", false},
                    {"rstrip", false},       {"normalized", false}, {"special", true}};
  const Json tokenizer = {{"version", "1.0"},
                          {"pre_tokenizer", level},
                          {"decoder", level},
                          {"added_tokens", Json::array({end})},
                          {"model", {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", Json::array()}}}};
  return tokenizer.dump() + "\n";
}

void write_inputs(const RecordedRun& run, const RunShape& shape) {
  fs::create_directories(run.model());
  if (is_of_images(shape)) return write_image_inputs(run, shape);
  write_file(run.model() / "config.json", config_text(shape));
  write_file(run.model() / "tokenizer.json", tokenizer_text());
  std::string rows;
  for (std::int64_t i = 0; i < shape.data_rows; ++i)
    rows += i % 3 == 0
                ? cat(R"({"completion":" is )", i * i, R"(","prompt":"square of )", i, "\"}\n")
                : cat(R"({"text":"row )", i, std::string(static_cast<std::size_t>(i % 4), '!'), "\"}\n");
  write_file(run.data(), rows);
}

train::TrainOptions train_options(const RecordedRun& run, const RunShape& shape) {
  train::TrainOptions options;
  options.model = run.model();
  options.data = run.data();
  options.out = run.out();
  if (shape.evaluate) options.eval_data = run.data();
  options.eval_every = shape.evaluate ? 4 : 0;
  options.recipe.steps = shape.steps;
  options.recipe.batch_size = 2;
  options.recipe.seq_len = 24;
  options.recipe.packing = shape.packing;
  options.recipe.seed = shape.seed;
  options.recipe.lr = shape.lr;
  options.recipe.schedule = "cosine";
  options.recipe.warmup_steps = 1;
  options.recipe.weight_decay = 0.1;
  options.recipe.clip_norm = 0.5;
  options.recipe.init = shape.init;
  if (!shape.lora.empty()) {
    options.recipe.method = "lora";
    options.recipe.lora_rank = 3;
    options.recipe.lora_alpha = 5;
    options.recipe.lora_targets = shape.lora;
    options.recipe.lora_dropout = shape.lora_dropout;
  }
  if (!shape.adapter.empty()) options.adapter = shape.adapter;
  options.profile = *kernels::profile_from_name(shape.numerics);
  options.layers_per_block = shape.layers_per_block;
  options.steps_per_block = shape.steps_per_block;
  options.record = train::RecordOptions{.trace = run.trace(),
                                        .snapshot_interval = shape.snapshot_interval,
                                        .store_boundaries = shape.store_boundaries,
                                        .compress = false,
                                        .resume = false};
  if (!shape.secret.empty()) {
    const fs::path secret = run.root / "secret";
    write_file(secret, shape.secret + '\n');
    options.record->hiding = true;
    options.record->hiding_secret = secret;
  }
  options.run_id = shape.run_id;
  options.created = 1700000000;
  options.nonce = shape.nonce;
  options.threads = 1;
  options.accelerator = shape.accelerator;
  options.quiet = true;
  return options;
}

// Base weights for a run without --init: what a first run exported, in the type asked for.
void write_base(const RecordedRun& run, const RunShape& shape) {
  RunShape first = shape;
  first.init = true;
  first.secret.clear();
  first.lora.clear();
  first.adapter.clear();
  first.steps = 1;
  first.seed = shape.base_seed;
  const RecordedRun source = record_run(new_path(), first);
  const auto checkpoint = model::Checkpoint::open(source.out());
  const DType dtype = dtype_from_name(shape.base_dtype.empty() ? "F32" : shape.base_dtype);
  std::vector<TensorSpec> specs;
  std::map<std::string, Bytes> bytes;
  for (const auto& [name, entry] : checkpoint.entries()) {
    specs.push_back({name, dtype, entry.spec.shape});
    bytes[name] = narrow(dtype, widen(entry.spec.dtype, entry.bytes));
  }
  model::write_safetensors(run.model() / "model.safetensors", specs,
                           [&](const TensorSpec& spec) { return ByteView(bytes.at(spec.name)); });
}

std::string key_of(const RunShape& s) {
  return cat(s.family, s.tied, s.store_boundaries, s.packing, s.init, s.base_dtype, ' ', s.snapshot_interval,
             ' ', s.steps, ' ', s.steps_per_block, ' ', s.layers_per_block, ' ', s.seed, ' ', s.data_rows,
             ' ', s.evaluate, ' ', s.numerics, ' ', s.nonce, ' ', s.run_id, ' ', s.lr, ' ', s.secret, ' ',
             s.lora, ' ', s.lora_dropout, ' ', s.adapter.native(), ' ', s.base_seed);
}

}  // namespace

fs::path new_path(const std::string& end) {
  static const struct Scratch {
    fs::path path = fs::path(AFTUNE_SCRATCH_DIR) / cat("attacks.", ::getpid());
    Scratch() { fs::create_directories(path); }
    ~Scratch() {
      std::error_code ignored;
      fs::remove_all(path, ignored);
    }
  } folder;
  static std::atomic<int> next = 0;
  return folder.path / cat(next++, end);
}

bool is_of_images(const RunShape& shape) {
  return shape.family == "vit" || shape.family.starts_with("dinov2");
}

seal::SecretKey provider_key() {
  std::array<std::uint8_t, 32> seed{};
  for (std::size_t i = 0; i < seed.size(); ++i) seed[i] = static_cast<std::uint8_t>(i);
  return seal::SecretKey::from_seed("audit.example/acme", seed);
}

audit::VerifyOptions RecordedRun::options() const {
  audit::VerifyOptions options{.trace = trace(), .key = provider_key().public_key()};
  options.plan.all = true;
  options.seed[0] = 1;
  options.data = data();
  options.model = model();
  options.exported = out();
  options.quiet = true;
  return options;
}

RecordedRun record_run(const fs::path& root, const RunShape& shape) {
  RecordedRun run{root};
  write_inputs(run, shape);
  if (!shape.init) write_base(run, shape);
  train::train(train_options(run, shape), nullptr);
  seal(run.trace(), shape.run_id);
  return run;
}

RecordedRun fresh_copy(const RunShape& shape) {
  static std::map<std::string, RecordedRun> made;
  const std::string key = key_of(shape);
  if (made.count(key) == 0) made[key] = record_run(new_path(), shape);
  RecordedRun copy{new_path()};
  fs::copy(made[key].root, copy.root, fs::copy_options::recursive);
  return copy;
}

void seal(const fs::path& trace, const std::string& run_id) {
  const trace::Layout layout{trace};
  const hash::MerkleTree tree = trace::Log::read(layout.log()).tree();
  const seal::SecretKey key = provider_key();
  const std::string origin = key.public_key().name() + "/" + run_id;
  const seal::Note note = seal::sign_checkpoint({origin, tree.size(), tree.root()}, key);
  std::string hashes;
  for (const Digest& leaf : tree.leaves()) hashes += as_text(as_bytes(leaf));
  write_file(layout.leaf_hashes(), hashes);
  write_file(layout.checkpoint(), note.to_text());
  write_file(layout.manifest_proof(),
             seal::LeafProof{0, tree.inclusion(0, tree.size()), note.to_text()}.to_text());
}

}  // namespace aftune::attacks
