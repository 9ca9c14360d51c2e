#include "audit/client_check.h"

#include "audit/batch_check.h"
#include "audit/block_state.h"
#include "audit/evidence.h"
#include "audit/opened_salts.h"
#include "audit/rejection.h"
#include "base/error.h"
#include "data/dataset.h"
#include "hash/blake3.h"
#include "model/folder.h"
#include "model/image_processor.h"
#include "tokenizer/folder.h"
#include "tokenizer/tokenizer.h"
#include "train/adapter_folder.h"
#include "train/inputs.h"

namespace aftune::audit {
namespace {

// The tokenizer of the client's model, if it is the run's.
std::optional<tokenizer::Tokenizer> own_tokenizer(const LogView& log, const fs::path& model,
                                                  Findings& findings) {
  const std::string text = tokenizer::read_tokenizer_of(model);
  const Digest found = hash::blake3(text), &recorded = log.manifest().tokenizer;
  if (!findings.expect(found == recorded, Check::kData, Code::kData, LogView::line(0),
                       cat("tokenizer: ", expected_found(found, recorded))))
    return std::nullopt;
  return within((model / "tokenizer.json").native(), [&] { return tokenizer::Tokenizer::parse(text); });
}

// Whether the run's pixels are made as the client's model says.
bool check_normalisation(const LogView& log, const fs::path& model, Findings& findings) {
  const record::Normalisation own = model::read_normalisation(model, log.config());
  const auto text = [](const record::Normalisation& n) { return canonical_json(record::to_json(n)); };
  return findings.expect(own == *log.manifest().images, Check::kData, Code::kData, LogView::line(0),
                         cat("images: expected ", text(own), ", found ", text(*log.manifest().images)));
}

void check_batches(const LogView& log, const data::Dataset& dataset, const fs::path& model,
                   Findings& findings) {
  const record::Manifest& m = log.manifest();
  std::optional<tokenizer::Tokenizer> tokenizer;
  if (log.config().images) {
    if (!check_normalisation(log, model, findings)) return;
  } else {
    tokenizer = own_tokenizer(log, model, findings);
    if (!tokenizer) return;
  }
  const data::Encoder encoder = encoder_of(log, tokenizer ? &*tokenizer : nullptr);
  std::string room;
  const data::Order order(m.recipe.seed, dataset.rows());
  std::int64_t hidden = 0;
  for (const std::int64_t t : log.steps()) {
    try {
      hidden += check_batch(
          log, [&](std::int64_t row) { return dataset.row(row, room); }, encoder, order, log.step(t),
          log.step_line(t), findings);
    } catch (const Rejection& rejection) {
      report(rejection, findings);
    }
  }
  if (hidden > 0)
    findings.unchecked(cat("hidden: ", hidden, " of ", 3 * log.steps().size(),
                           " lists of tokens, labels and layout at hand; their salts were not opened"));
}

// Files of the export that are neither weights nor decided by the manifest are copies of the base model's.
void check_copied_files(const LogView& log, const fs::path& model, Findings& findings) {
  if (log.manifest().recipe.is_lora()) return;  // it has none
  constexpr std::uint64_t kMaxFileBytes = std::uint64_t{1} << 30;
  for (const auto& [name, found] : log.final().files) {
    if (name == "model.safetensors" || name == "config.json") continue;
    const fs::path path = model / name;
    const std::string where = cat(LogView::line(log.grid().final_leaf()), " ", name);
    if (!fs::exists(path)) {
      findings.failed(Check::kExport, Code::kExport, where, "the base model has no such file");
      continue;
    }
    const Digest expected = hash::blake3(read_file(path, kMaxFileBytes));
    findings.expect(found == expected, Check::kExport, Code::kExport, where, expected_found(expected, found));
  }
}

}  // namespace

void check_data(const LogView& log, const fs::path& data, const fs::path* model, Findings& findings) {
  const data::Dataset dataset = train::read_dataset(data, log.config(), log.manifest().images);
  const record::Manifest& m = log.manifest();
  const record::SaltName salt{0, record::Role::kData};
  if (!log.is_open(salt)) return findings.add(Code::kAbsent, "salt " + to_text(salt), "of the data root");
  const Digest root = log.published(salt, dataset.root());
  const bool same =
      findings.expect(dataset.rows() == m.data_rows, Check::kData, Code::kData, LogView::line(0),
                      cat("data rows: expected ", dataset.rows(), ", found ", m.data_rows)) &&
      findings.expect(root == m.data_root, Check::kData, Code::kData, LogView::line(0),
                      cat("data root: ", expected_found(root, m.data_root)));
  if (same && model != nullptr) check_batches(log, dataset, *model, findings);
}

std::optional<model::Checkpoint> check_base_model(const LogView& log, const fs::path& model,
                                                  Findings& findings) {
  const record::Manifest& m = log.manifest();
  const std::string config = read_file(model / "config.json", model::kMaxConfigBytes);
  findings.expect(config == m.config, Check::kStateBefore, Code::kStateBefore,
                  cat(LogView::line(0), " config"),
                  cat("config.json: ", expected_found(hash::blake3(config), hash::blake3(m.config))));
  check_copied_files(log, model, findings);
  if (m.recipe.init) return std::nullopt;
  return check_base_weights(log, model, findings);
}

std::optional<model::Checkpoint> check_base_weights(const LogView& log, const fs::path& model,
                                                    Findings& findings) {
  const record::Manifest& m = log.manifest();
  model::Checkpoint checkpoint = model::Checkpoint::open(model, log.config());
  bool same = true;
  for (std::size_t i = 0; i < log.base_tensors().size(); ++i) {
    const TensorSpec& spec = log.base_tensors()[i];
    const auto* entry = checkpoint.find(spec.name);
    if (entry == nullptr) fail(Fault::kUsage, model.native(), ": no tensor ", spec.name);
    const TensorSpec recorded{spec.name, m.base.dtype, spec.shape};
    const Digest expected = hash::blake3(entry->bytes);
    same &= findings.expect(entry->spec == recorded && expected == m.base.digests[i], Check::kStateBefore,
                            Code::kStateBefore, cat(LogView::line(0), " base ", spec.name),
                            cat("expected ", describe(entry->spec), " ", to_hex(expected), ", found ",
                                describe(recorded), " ", to_hex(m.base.digests[i])));
  }
  if (!same) return std::nullopt;
  return checkpoint;
}

void check_first_adapters(const LogView& log, const fs::path& folder, Findings& findings) {
  const record::TensorList* const initial = log.manifest().initial();
  AFTUNE_CHECK(log.manifest().recipe.is_lora());
  if (!findings.expect(initial != nullptr, Check::kStateBefore, Code::kStateBefore, LogView::line(0),
                       "the adapters were drawn from the seed, not those that were given"))
    return;
  const auto adapters = model::Checkpoint::open_file(folder / train::kAdapterWeights);
  for (std::size_t i = 0; i < log.tensors().size(); ++i) {
    const TensorSpec recorded{log.tensors()[i].name, initial->dtype, log.tensors()[i].shape};
    const auto* entry = adapters.find(recorded.name);
    if (entry == nullptr) fail(Fault::kUsage, folder.native(), ": no tensor ", recorded.name);
    const Digest expected = hash::blake3(entry->bytes);
    findings.expect(entry->spec == recorded && expected == initial->digests[i], Check::kStateBefore,
                    Code::kStateBefore, cat(LogView::line(0), " adapter ", recorded.name),
                    expected_found(expected, initial->digests[i]));
  }
}

namespace {

// The shipped model's pixels are to be made as those that it was trained on.
void check_processor(const LogView& log, const fs::path& folder, Findings& findings) {
  if (!log.manifest().images || log.manifest().recipe.is_lora()) return;
  const std::string where = cat("export ", model::kImageProcessor);
  try {
    findings.expect(model::read_normalisation(folder, log.config()) == *log.manifest().images, Check::kExport,
                    Code::kExport, where, "normalises pixels by other numbers than the run");
  } catch (const Error& e) {
    if (e.fault() == Fault::kSystem) throw;
    findings.failed(Check::kExport, Code::kExport, where, e.what());
  }
}

void check_files(const LogView& log, const fs::path& folder, const record::Final& final, Findings& findings) {
  for (const auto& [name, expected] : final.files) {
    const fs::path path = folder / name;
    std::error_code code;
    if (!fs::is_regular_file(path, code)) {
      findings.add(Code::kAbsent, cat("export ", name), "the file is not there");
      continue;
    }
    Digest found = hash::blake3(MappedFile(path).bytes());
    if (record::holds_weights(name))
      found = log.published({log.grid().final_leaf(), record::Role::kFile, 0, name}, found);
    findings.expect(found == expected, Check::kExport, Code::kExport, cat("export ", name),
                    expected_found(expected, found));
  }
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().native();
    findings.expect(final.files.count(name) != 0, Check::kExport, Code::kExport, cat("export ", name),
                    "not among the files that the record names");
  }
}

void check_tensors(const LogView& log, const fs::path& folder, const record::Final& final,
                   const std::vector<record::SaltName>& salts, Findings& findings) {
  const bool lora = log.manifest().recipe.is_lora();
  const auto checkpoint =
      lora ? model::Checkpoint::open_file(folder / train::kAdapterWeights) : model::Checkpoint::open(folder);
  for (std::size_t i = 0; i < log.tensors().size(); ++i) {
    const TensorSpec recorded{log.tensors()[i].name, final.exported.dtype, log.tensors()[i].shape};
    const auto* entry = checkpoint.find(recorded.name);
    const std::string where = cat("export ", recorded.name);
    if (entry == nullptr) {
      findings.failed(Check::kExport, Code::kExport, where, "the tensor is not there");
      continue;
    }
    const Digest found = log.published(salts[i], hash::blake3(entry->bytes));
    findings.expect(entry->spec == recorded && found == final.exported.digests[i], Check::kExport,
                    Code::kExport, where,
                    cat("expected ", describe(recorded), " ", to_hex(final.exported.digests[i]), ", found ",
                        describe(entry->spec), " ", to_hex(found)));
  }
  findings.expect(checkpoint.entries().size() == log.tensors().size(), Check::kExport, Code::kExport,
                  "export", cat(checkpoint.entries().size(), " tensors, not ", log.tensors().size()));
}

}  // namespace

void check_exported(const LogView& log, const fs::path& folder, Findings& findings) {
  if (!fs::is_directory(folder)) fail(Fault::kUsage, folder.native(), ": not a folder");
  const record::Final final = log.final();
  const std::vector<record::SaltName> salts = salts_of_export(log);
  for (const record::SaltName& salt : salts)
    if (!log.is_open(salt))
      return findings.add(Code::kAbsent, "export",
                          "salt " + to_text(salt) + " was not opened; aftune-open --export-salts opens it");
  check_files(log, folder, final, findings);
  check_processor(log, folder, findings);
  try {
    check_tensors(log, folder, final, salts, findings);
  } catch (const Error& e) {
    if (e.fault() == Fault::kSystem) throw;
    findings.add(Code::kFormat, "export", e.what());
  }
}

}  // namespace aftune::audit
