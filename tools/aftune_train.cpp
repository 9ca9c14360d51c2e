// Fine-tunes a model and records the run.

#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "audit/forecast.h"
#include "base/error.h"
#include "base/progress.h"
#include "cli/cli.h"
#include "device/device.h"
#include "model/adapter.h"
#include "model/folder.h"
#include "train/adapter_folder.h"
#include "train/inputs.h"
#include "train/trainer.h"

namespace aftune {
namespace {

constexpr std::int64_t kMany = std::int64_t{1} << 40;
constexpr std::uint64_t kMaxConfig = std::uint64_t{1} << 20;

struct Args {
  train::TrainOptions job;
  train::RecordOptions record;
  fs::path eval_data, hiding_secret, adapter;
  std::string store = "nothing", device = "cpu";
  std::string numerics = "i14";
  bool no_record = false, no_eos = false, json = false, verbose = false, merge = false, dry_run = false;
  int threads = 0;
};

void input_flags(CLI::App& app, Args& args) {
  const auto in = [](cli::Flag flag) { return flag.group("inputs and outputs"); };
  in(cli::model(app, args.job.model)).required();
  in(cli::data(app, args.job.data));
  in(cli::out(app, args.job.out, "DIR", "folder to write the tuned model to"));
  in(cli::trace(app, args.record.trace));
  in(cli::path(app, "--adapter", "DIR", args.adapter, "adapters to go on from, or to merge"));
  in(cli::toggle(app, "--merge", args.merge, "only write the model with the adapters of --adapter taken in"));
  in(cli::path(app, "--eval-data", "FILE", args.eval_data, "rows to evaluate the loss on"));
  in(cli::integer(app, "--eval-every", args.job.eval_every,
                  "evaluate every N steps; 0 is after the last only", 0, kMany));
}

void recipe_flags(CLI::App& app, Args& args) {
  record::Recipe& r = args.job.recipe;
  const auto in = [](cli::Flag flag) { return flag.group("recipe"); };
  in(cli::integer(app, "--steps", r.steps, "optimizer steps", 1, kMany));
  in(cli::real(app, "--epochs", args.job.epochs, "instead of --steps: passes over the data", 1e-6, 1e6));
  in(cli::integer(app, "--batch-size", r.batch_size, "rows of a step", 1, 1 << 24));
  in(cli::integer(app, "--seq-len", r.seq_len, "tokens that a row is cut to", 1, 1 << 24));
  in(cli::real(app, "--lr", r.lr, "peak learning rate", 0, 1e6));
  in(cli::choice(app, "--schedule", {"constant", "linear", "cosine"}, r.schedule,
                 "learning rate after the warm-up"));
  in(cli::integer(app, "--warmup-steps", r.warmup_steps, "steps of linear warm-up", 0, kMany));
  in(cli::choice(app, "--optimizer", {"adamw", "sgd"}, r.optimizer, "optimizer"));
  in(cli::real(app, "--beta1", r.beta1, "adamw: decay of the first moment", 0, 1));
  in(cli::real(app, "--beta2", r.beta2, "adamw: decay of the second moment", 0, 1));
  in(cli::real(app, "--eps", r.eps, "adamw: added to the denominator", 0, 1));
  in(cli::real(app, "--momentum", r.momentum, "sgd: momentum", 0, 1));
  in(cli::real(app, "--weight-decay", r.weight_decay, "weight decay of tensors of rank 2 and more", 0, 1e6));
  in(cli::toggle(app, "--decay-all", r.decay_all, "weight decay of all tensors"));
  in(cli::real(app, "--clip-norm", r.clip_norm, "clip the gradient to this global norm; 0 is never", 0,
               1e30));
  in(cli::word64(app, "--seed", r.seed, "seed of the order of rows and of --init"));
  in(cli::toggle(app, "--pack", r.packing, "fill each row with documents while they fit"));
  in(cli::toggle(app, "--no-eos", args.no_eos, "append no end-of-sequence token to rows"));
  in(cli::toggle(app, "--init", r.init, "draw the first weights from the seed; config.json is enough"));
  in(cli::choice(app, "--method", {"full", "lora"}, r.method, "train all weights, or adapters beside them"));
  in(cli::integer(app, "--lora-rank", r.lora_rank, "lora: rank of the adapters [8]", 1, 1 << 16));
  in(cli::real(app, "--lora-alpha", r.lora_alpha, "lora: the adapters are scaled by this over the rank", 0,
               1e6));
  in(cli::text(app, "--lora-targets", "LIST", r.lora_targets,
               "lora: products with an adapter, of q,k,v,o,gate,up,down,qkv, or modules' names [the model's "
               "usual ones]"));
  in(cli::real(app, "--lora-dropout", r.lora_dropout, "lora: part of their inputs that is dropped", 0, 1));
  in(cli::text(app, "--numerics", "PROFILE", args.numerics, "arithmetic: i14, i14:G, f32 or native [i14]"));
}

void record_flags(CLI::App& app, Args& args) {
  const auto in = [](cli::Flag flag) { return flag.group("record"); };
  in(cli::integer(app, "--layers-per-block", args.job.layers_per_block, "layers of a cell", 1, 1 << 16));
  in(cli::integer(app, "--steps-per-block", args.job.steps_per_block, "steps of a cell", 1, kMany));
  in(cli::integer(app, "--snapshot-interval", args.record.snapshot_interval,
                  "keep the state every N step blocks; 0 is first and last only", 0, kMany));
  in(cli::choice(app, "--store", {"nothing", "boundaries"}, args.store, "tensors to keep besides snapshots"));
  in(cli::toggle(app, "--compress", args.record.compress, "compress snapshots too"));
  in(cli::hex(app, "--run-id", args.job.run_id, 16, "the run's name, 16 bytes; random if not given"));
  in(cli::hex(app, "--nonce", args.job.nonce, 0, "the client's nonce, bound by the manifest"));
  in(cli::toggle(app, "--resume", args.record.resume, "go on from the last snapshot of the trace"));
  in(cli::toggle(app, "--hiding", args.record.hiding,
                 "publish salted digests, so that the log says nothing about weights and rows"));
  in(cli::path(app, "--hiding-secret", "FILE", args.hiding_secret,
               "the run secret, 64 hex digits, for a run made twice; random if not given"));
  in(cli::toggle(app, "--no-record", args.no_record, "train without a trace"));
}

void flags(CLI::App& app, Args& args) {
  args.job.recipe.batch_size = 8;
  args.job.recipe.seq_len = 512;
  input_flags(app, args);
  recipe_flags(app, args);
  record_flags(app, args);
  const auto in = [](cli::Flag flag) { return flag.group("execution (changes no bit)"); };
  in(cli::integer(app, "--micro-batch", args.job.micro_batch, "rows at a time; 0 is about 2048 tokens", 0,
                  1 << 24));
  in(cli::toggle(app, "--recompute", args.job.recompute, "keep only stage inputs for the backward pass"));
  in(cli::toggle(app, "--dry-run", args.dry_run,
                 "only say what the job will take; of the inputs config.json is enough"));
  in(cli::device(app, args.device));
  in(cli::threads(app, args.threads));
  in(cli::json(app, args.json));
  in(cli::quiet(app, args.job.quiet));
  in(cli::verbose(app, args.verbose));
}

void require_adapters(const Args& args) {
  const auto wrong = [](const auto&... parts) { fail(Fault::kUsage, parts...); };
  const record::Recipe& r = args.job.recipe;
  const bool described = r.lora_rank > 0 || r.lora_alpha > 0 || !r.lora_targets.empty();
  if (!r.is_lora() && (described || r.lora_dropout > 0 || !args.adapter.empty()))
    wrong("--adapter and what begins with --lora are for --method lora");
  if (!r.is_lora()) return;
  if (r.init) wrong("--init draws all weights; --method lora needs a model that has some");
  if (!args.adapter.empty() && described)
    wrong("--adapter says which rank, alpha and targets its adapters have; only --lora-dropout goes with it");
  if (r.lora_dropout >= 1) wrong("--lora-dropout drops everything");
}

void require_consistent(const Args& args) {
  const auto wrong = [](const auto&... parts) { fail(Fault::kUsage, parts...); };
  const record::Recipe& r = args.job.recipe;
  if (args.job.data.empty() && !args.dry_run) wrong("--data is required");
  if (args.job.out.empty() && !args.dry_run) wrong("--out is required");
  require_adapters(args);
  if ((r.steps > 0) == (args.job.epochs > 0)) wrong("give one of --steps and --epochs");
  if (args.record.trace.empty() != args.no_record && !args.dry_run)
    wrong("give one of --trace and --no-record");
  if (args.record.resume && args.no_record) wrong("--resume needs --trace");
  if (args.record.hiding && args.no_record) wrong("--hiding needs --trace");
  if (!args.hiding_secret.empty() && !args.record.hiding) wrong("--hiding-secret goes with --hiding");
  if (args.job.eval_every > 0 && args.eval_data.empty()) wrong("--eval-every needs --eval-data");
  if (r.momentum > 0 && r.optimizer != "sgd") wrong("--momentum is for --optimizer sgd");
  if (!kernels::profile_from_name(args.numerics))
    wrong("--numerics: ", args.numerics,
          " is not in this version; there are f32, native, i14 and i14:G, G 128, 256, 512 or 1024");
}

// Only such a record can be compared with anything but the same device's bits.
void warn_of_native(const Args& args) {
  if (!kernels::profile_from_name(args.numerics)->native || args.no_record || args.job.quiet) return;
  if (args.device == "cpu") return;  // that is an error
  if (args.store != "boundaries" || args.record.snapshot_interval != 1 || args.job.steps_per_block != 1)
    cli::warn(
        "on another device a native run can be verified only with --store boundaries, --snapshot-interval 1 "
        "and --steps-per-block 1");
}

// Those that peft has.
constexpr std::int64_t kLoraRank = 8;
constexpr double kLoraAlpha = 8;

void complete_adapters(const Args& args, train::TrainOptions& job) {
  record::Recipe& r = job.recipe;
  if (!r.is_lora()) return;
  if (!args.adapter.empty()) {
    job.adapter = args.adapter;
    return;
  }
  if (r.lora_rank == 0) r.lora_rank = kLoraRank;
  if (r.lora_alpha == 0) r.lora_alpha = kLoraAlpha;
}

train::TrainOptions job_of(const Args& args) {
  train::TrainOptions job = args.job;
  complete_adapters(args, job);
  job.recipe.eos = !args.no_eos;
  job.created = cli::current_time(kMaxJsonInteger);
  job.threads = cli::thread_count(args.threads);
  job.profile = *kernels::profile_from_name(args.numerics);
  if (!args.eval_data.empty()) job.eval_data = args.eval_data;
  if (args.no_record) return job;
  job.record = args.record;
  if (!args.hiding_secret.empty()) job.record->hiding_secret = args.hiding_secret;
  job.record->store_boundaries = args.store == "boundaries";
  return job;
}

Json step_json(const train::StepReport& s) {
  Json json = {{"step", s.step},     {"loss", cli::shortest(s.loss)},
               {"lr", s.lr},         {"grad_norm", s.grad_norm},
               {"tokens", s.tokens}, {"seconds", s.seconds}};
  if (!s.eval_loss) return json;
  json["eval_loss"] = cli::shortest(*s.eval_loss);
  json["eval_perplexity"] = std::exp(static_cast<double>(*s.eval_loss));
  return json;
}

/// Reports steps as they come, and remembers what the summary says.
class Reporter {
 public:
  explicit Reporter(const Args& args) : args_(args) {}

  void step(const train::StepReport& s) {
    if (!first_) first_ = s.loss;
    last_ = s.loss;
    if (s.eval_loss) last_eval_ = s.eval_loss;
    if (args_.json) cli::print_json(step_json(s));
    if (args_.verbose && (s.step + 1) % args_.job.steps_per_block == 0)
      cli::note(cat("step ", s.step + 1, "  loss ", s.loss, "  lr ", s.lr, "  ", s.seconds, " s"));
    if (args_.verbose && s.eval_loss) cli::note(cat("step ", s.step + 1, "  ", evaluated(*s.eval_loss)));
  }

  void done(const train::TrainSummary& summary) const {
    if (!args_.job.quiet && summary.waited >= 1)
      cli::note(cat("waited ", std::round(summary.waited), " s for the disk"));
    const Json trace = args_.no_record ? Json() : Json(args_.record.trace.native());
    if (args_.json)
      return cli::print_json({{"done", !summary.interrupted},
                              {"steps", summary.steps},
                              {"out", args_.job.out.native()},
                              {"trace", trace}});
    if (summary.interrupted)
      return cli::print(cat("interrupted after step ", summary.steps, "; nothing exported\n"));
    std::string text = cat(summary.steps, " steps");
    if (first_) text += cat(", loss ", *first_, " to ", *last_);
    if (last_eval_) text += ", " + evaluated(*last_eval_);
    const char* const what = args_.job.recipe.is_lora() ? "adapters" : "model";
    text += cat('\n', what, " in ", args_.job.out.native(), '\n');
    if (!args_.no_record) text += cat("trace in ", args_.record.trace.native(), '\n');
    cli::print(text);
  }

 private:
  static std::string evaluated(float loss) {
    return cat("evaluation loss ", loss, " (perplexity ", std::exp(loss), ')');
  }

  const Args& args_;
  std::optional<float> first_, last_, last_eval_;
};

// Of the other flags none says anything about a merge.
cli::Exit merge_adapters(const Args& args) {
  if (args.adapter.empty()) fail(Fault::kUsage, "--merge needs --adapter");
  if (args.dry_run) fail(Fault::kUsage, "--merge trains nothing: --dry-run does not go with it");
  if (args.job.out.empty()) fail(Fault::kUsage, "--out is required");
  if (!args.job.data.empty() || !args.record.trace.empty() || args.job.recipe.is_lora())
    fail(Fault::kUsage, "--merge trains nothing: --data, --trace and --method do not go with it");
  train::merge({.model = args.job.model,
                .adapter = args.adapter,
                .out = args.job.out,
                .threads = cli::thread_count(args.threads)});
  if (args.json)
    cli::print_json({{"done", true}, {"steps", 0}, {"out", args.job.out.native()}, {"trace", nullptr}});
  else
    cli::print(cat("model in ", args.job.out.native(), '\n'));
  return cli::Exit::kDone;
}

// The type of the model's tensors: theirs where they are at hand, else what config.json says.
DType dtype_on_disk(const fs::path& folder, const audit::Job& job) {
  if (fs::exists(folder / "model.safetensors") || fs::exists(folder / "model.safetensors.index.json")) {
    const model::Checkpoint weights = model::Checkpoint::open(folder, job.config);
    return weights.entries().empty() ? DType::kF32 : weights.entries().begin()->second.spec.dtype;
  }
  const Json json = parse_json(job.config_text);
  for (const char* key : {"dtype", "torch_dtype"})  // transformers 5 and 4
    if (const auto found = json.find(key); found != json.end()) {
      if (*found == "bfloat16") return DType::kBF16;
      if (*found == "float16") return DType::kF16;
    }
  return DType::kF32;
}

cli::Exit say_what_it_takes(const Args& args) {
  const train::TrainOptions options = job_of(args);
  audit::Job job;
  job.config_text = cli::read_input(args.job.model / "config.json", kMaxConfig);
  job.recipe = options.recipe;
  job.profile = options.profile;
  job.micro_batch = options.micro_batch;
  job.recompute = options.recompute;
  job.records = !args.no_record;
  job.store_boundaries = args.store == "boundaries";
  job.config = within(args.job.model.native(), [&] { return model::Config::parse(job.config_text); });
  job.recipe.steps = std::max<std::int64_t>(1, job.recipe.steps);
  job.base_dtype = dtype_on_disk(args.job.model, job);
  train::settle_image_recipe(job.config, job.recipe);
  if (job.recipe.is_lora() && args.adapter.empty())
    job.recipe.lora_targets =
        within("--lora-targets", [&] { return model::lora_targets_of(job.config, job.recipe.lora_targets); });
  if (!args.adapter.empty())
    within(args.adapter.native(), [&] {
      train::read_adapter_config(cli::read_input(args.adapter / train::kAdapterConfig, kMaxConfig),
                                 job.config, job.recipe);
    });
  job.grid = {.layers = job.config.layers,
              .tied = job.config.tied,
              .layers_per_block = std::min(options.layers_per_block, job.config.layers),
              .steps = job.recipe.steps,
              .steps_per_block = options.steps_per_block};
  const audit::Forecast forecast = audit::forecast(job);
  args.json ? cli::print_json(audit::to_json(forecast)) : cli::print(audit::describe(forecast));
  return cli::Exit::kDone;
}

cli::Exit fine_tune(const Args& args) {
  if (args.merge) return merge_adapters(args);
  require_consistent(args);
  if (args.dry_run) return say_what_it_takes(args);
  warn_of_native(args);
  catch_interrupts();
  Reporter reporter(args);
  const device::Chosen device(args.device);
  train::TrainOptions job = job_of(args);
  job.accelerator = device.accelerator();
  const train::TrainSummary summary =
      train::train(job, [&](const train::StepReport& step) { reporter.step(step); });
  reporter.done(summary);
  return summary.interrupted ? cli::Exit::kInterrupted : cli::Exit::kDone;
}

}  // namespace
}  // namespace aftune

int main(int argc, char** argv) {
  return aftune::cli::run<aftune::Args>("aftune-train", "Fine-tunes a model and records the run.",
                                        aftune::flags, aftune::fine_tune, argc, argv);
}
