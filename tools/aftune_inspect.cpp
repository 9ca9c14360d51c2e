// Shows what a trace, evidence or a policy holds, a verdict, or the tokens of texts; drafts a policy.

#include <algorithm>
#include <iostream>
#include <set>

#include "audit/calibrate.h"
#include "audit/disclosure.h"
#include "audit/evidence_file.h"
#include "audit/lineage.h"
#include "audit/op_proof.h"
#include "audit/policy.h"
#include "audit/policy_draft.h"
#include "base/error.h"
#include "base/printable.h"
#include "cli/cli.h"
#include "device/device.h"
#include "report/attestation.h"
#include "report/page.h"
#include "tokenizer/tokenizer.h"
#include "trace/overview.h"
#include "trace/segment.h"
#include "trace/serving_overview.h"

namespace aftune {
namespace {

constexpr std::uint64_t kMaxPolicy = std::uint64_t{1} << 20;

struct Args {
  fs::path trace, model, policy, policy_from, data;
  fs::path evidence, proof, verdict, attestation, pubkey, log, html;
  fs::path out = "-";
  bool tokenize = false, lineage = false, calibrate = false, json = false;
  std::string device = "cpu";
  int threads = 0;
};

void flags(CLI::App& app, Args& args) {
  cli::trace(app, args.trace);
  cli::toggle(app, "--tokenize", args.tokenize, "print the ids of the JSON strings on stdin, one a line");
  cli::model(app, args.model);
  cli::policy(app, args.policy);
  cli::path(app, "--policy-from", "DIR", args.policy_from,
            "draft a policy from the client's base model and --data");
  cli::data(app, args.data);
  cli::out(app, args.out, "FILE", "policy, lineage or bounds file to write, - for stdout [-]");
  cli::path(app, "--evidence", "FILE", args.evidence, "show what an evidence file holds");
  cli::path(app, "--proof", "FILE", args.proof, "show what a proof file says of one operation");
  cli::path(app, "--verdict", "FILE", args.verdict, "show a verdict, as aftune-verify --json prints it");
  cli::path(app, "--attestation", "FILE", args.attestation, "show the verdict of a signed statement");
  cli::pubkey(app, args.pubkey).description("the auditor's public key, a vkey line");
  cli::toggle(app, "--lineage", args.lineage,
              "with --trace and --pubkey: the proof of what the run exported, for serving it");
  cli::path(app, "--html", "FILE", args.html, "write the verdict as an HTML page");
  cli::path(app, "--log", "FILE", args.log, "log.jsonl of the verdict's run, for the page");
  cli::toggle(app, "--calibrate", args.calibrate,
              "measure a device's native products, and write the bounds they keep");
  cli::device(app, args.device).description("whose products --calibrate measures: cuda or cuda:N");
  cli::threads(app, args.threads).description("of the processor beside it; 0 is all");
  cli::json(app, args.json);
}

// Beside the processor's products, which are their definition.
cli::Exit calibrate(const Args& args) {
  if (args.device == "cpu")
    fail(Fault::kUsage, "--calibrate needs --device cuda: it measures a GPU's products");
  const device::Chosen device(args.device);
  const audit::Bounds bounds = audit::calibrate({.accelerator = device.accelerator(),
                                                 .threads = cli::thread_count(args.threads),
                                                 .created = cli::current_time(kMaxJsonInteger)});
  cli::write_output(args.out, audit::to_text(bounds));
  cli::note(cat("bound ", bounds.bound, " from ", bounds.samples.size(), " products of ",
                bounds.machine.device, ", ", bounds.machine.library));
  return cli::Exit::kDone;
}

std::string text_of(const std::string& line) {
  const Json json = parse_json(line, {.max_bytes = std::size_t{1} << 26, .max_depth = 4});
  if (!json.is_string()) fail(Fault::kEvidence, "not a JSON string");
  return json.get<std::string>();
}

cli::Exit tokenize(const Args& args) {
  const auto tokenizer = tokenizer::Tokenizer::read(args.model / "tokenizer.json");
  std::string line;
  for (std::int64_t number = 1; std::getline(std::cin, line); ++number) {
    const std::string text = within(cat("stdin line ", number), [&] { return text_of(line); });
    cli::print_json({{"ids", tokenizer.encode(text, false)}});
  }
  if (std::cin.bad()) fail(Fault::kSystem, "stdin: read error");
  return cli::Exit::kDone;
}

// How many salts are opened, by what they are of: "<leaf>/<role>/<index>/<name>".
Json salts_by_role(const audit::EvidenceIndex& index) {
  Json roles = Json::object();
  for (const auto& [name, salt] : index.salts) {
    const std::size_t begin = name.find('/') + 1;
    Json& count = roles[name.substr(begin, name.find('/', begin) - begin)];
    count = count.is_null() ? 1 : count.get<std::int64_t>() + 1;
  }
  return roles;
}

// The numbers of the rows that the index names.
Json rows_of(const audit::EvidenceIndex& index) {
  std::set<std::int64_t> rows;
  for (const auto& [path, digest] : index.datasets)
    if (const auto row = audit::row_of_dataset(path)) rows.insert(*row);
  return rows;
}

std::int64_t final_params_of(const audit::EvidenceIndex& index) {
  return std::ranges::count_if(index.datasets,
                               [](const auto& d) { return d.first.starts_with(audit::kEvidenceFinal); });
}

Json overview(const audit::EvidenceFile& evidence, std::uint64_t bytes) {
  const audit::EvidenceIndex& index = evidence.index();
  const auto checkpoint = seal::Checkpoint::parse(seal::Note::parse(index.note).text);
  Json cells = Json::array();
  for (const audit::Cell& cell : index.cells) cells.push_back({cell.block, cell.step_block});
  return {{"origin", checkpoint.origin},
          {"size", checkpoint.size},
          {"root", to_hex(checkpoint.root)},
          {"challenge", to_hex(index.challenge)},
          {"digest", to_hex(evidence.digest())},
          {"bytes", bytes},
          {"cells", std::move(cells)},
          {"leaves", index.leaves.size()},
          {"datasets", index.datasets.size()},
          {"rows", rows_of(index)},
          {"final_params", final_params_of(index)},
          {"salts", salts_by_role(index)},
          {"signed", evidence.has_signature()},
          {"cost",
           {{"replayed_steps", index.cost.replayed_steps},
            {"replayed_tokens", index.cost.replayed_tokens},
            {"stored_bytes", index.cost.stored_bytes},
            {"recreated_bytes", index.cost.recreated_bytes}}}};
}

// What of the run is shown beside its cells, a line each.
std::string disclosed_besides(const Json& seen) {
  std::string text;
  if (!seen["rows"].empty())
    text += cat("\nrows        ", seen["rows"].size(), " of the data: ", seen["rows"].dump());
  if (seen["final_params"] != 0) text += cat("\nfinal       ", seen["final_params"].dump(), " parameters");
  if (!seen["salts"].empty()) text += "\nsalts      ";
  for (const auto& [role, count] : seen["salts"].items()) text += cat(' ', count.dump(), ' ', role);
  return text;
}

// Of what it says itself; nothing is checked but its form.
cli::Exit show_evidence(const Args& args) {
  const audit::EvidenceFile evidence(args.evidence);
  const Json seen = overview(evidence, fs::file_size(args.evidence));
  if (args.json) {
    cli::print_json(seen);
    return cli::Exit::kDone;
  }
  const auto text = [&](const char* key) { return seen[key].get<std::string>(); };
  const Json& cost = seen["cost"];
  cli::print(cat("run         ", text("origin"), "\nroot        ", text("root"), ", ", seen["size"].dump(),
                 " leaves\nchallenge   ", text("challenge"), "\ncells       ", seen["cells"].dump(),
                 "\nholds       ", seen["leaves"].dump(), " leaves, ", seen["datasets"].dump(), " datasets, ",
                 seen["bytes"].dump(), " bytes", disclosed_besides(seen), "\ncost        ",
                 cost["stored_bytes"].dump(), " bytes stored, ", cost["recreated_bytes"].dump(),
                 " made again by replaying ", cost["replayed_steps"].dump(), " steps\nsigned      ",
                 evidence.has_signature() ? "yes; by whom says aftune-verify" : "no", '\n'));
  return cli::Exit::kDone;
}

// Of what it says itself, as evidence is shown.
cli::Exit show_proof(const Args& args) {
  if (!fs::is_regular_file(args.proof)) fail(Fault::kUsage, args.proof.native(), ": not a file");
  const trace::SegmentReader reader(args.proof, trace::Origin::kForeign);
  const audit::OpProof proof = audit::read_op_proof(reader);
  const audit::OpEntry entry =
      within(args.proof.native(), [&] { return audit::parse_op_entry(proof.entry); });
  const auto checkpoint = seal::Checkpoint::parse(seal::Note::parse(proof.note).text);
  Json leaves = Json::array();
  for (const audit::OpenedLeaf& leaf : proof.leaves) leaves.push_back(leaf.index);
  const Json seen = {{"origin", checkpoint.origin},
                     {"size", checkpoint.size},
                     {"root", to_hex(checkpoint.root)},
                     {"digest", to_hex(reader.digest())},
                     {"bytes", fs::file_size(args.proof)},
                     {"cell", {proof.head.cell.block, proof.head.cell.step_block}},
                     {"index", proof.index},
                     {"operations", proof.head.count},
                     {"operation", where(proof.head.cell, entry)},
                     {"in", entry.in.size()},
                     {"out", entry.out.size()},
                     {"inputs", reader.entries().size() - 1},
                     {"leaves", std::move(leaves)}};
  if (args.json) {
    cli::print_json(seen);
    return cli::Exit::kDone;
  }
  cli::print(cat("run         ", checkpoint.origin, "\nroot        ", to_hex(checkpoint.root), ", ",
                 checkpoint.size, " leaves\noperation   ", proof.index, " of ", proof.head.count, ": ",
                 visible(where(proof.head.cell, entry)), "\nsigned      ", entry.in.size(), " tensors in, ",
                 entry.out.size(), " out; what of it is true says aftune-verify\nholds       ",
                 seen["inputs"].dump(), " inputs, leaves ", seen["leaves"].dump(), ", ", seen["bytes"].dump(),
                 " bytes\n"));
  return cli::Exit::kDone;
}

std::string joined(const std::vector<std::string>& items) {
  std::string text;
  for (const std::string& item : items) text += (text.empty() ? "" : ", ") + item;
  return text;
}

cli::Exit show_policy(const Args& args) {
  const std::string text = cli::read_input(args.policy, kMaxPolicy);
  const audit::Policy policy = within(args.policy.native(), [&] { return audit::parse_policy(text); });
  const std::string digest = to_hex(policy.digest);
  const std::string run = policy.run_from_nonce ? audit::run_id_of(policy) : policy.run.value_or("");
  const auto open = audit::unpinned(&policy);
  if (args.json)
    cli::print_json({{"digest", digest}, {"run", run.empty() ? Json() : Json(run)}, {"unpinned", open}});
  else
    cli::print(cat("digest      ", digest, "\nrun         ", run.empty() ? "any" : run, "\nnot pinned  ",
                   open.empty() ? "nothing" : joined(open), '\n'));
  return cli::Exit::kDone;
}

cli::Exit draft(const Args& args) {
  ThreadPool pool(cli::thread_count(0));
  const std::string text = audit::draft_policy(args.policy_from, args.data, pool);
  cli::write_output(args.out, text);
  const audit::Policy policy = audit::parse_policy(text);
  cli::note(cat("not pinned: ", joined(audit::unpinned(&policy)), "; nothing is asked of the audit"));
  return cli::Exit::kDone;
}

void require_consistent_verdict(const Args& args) {
  const auto wrong = [](const char* why) { fail(Fault::kUsage, why); };
  if (args.attestation.empty() != args.pubkey.empty()) wrong("--attestation and --pubkey go together");
  if (!args.verdict.empty() && !args.attestation.empty()) wrong("give one of --verdict and --attestation");
  if (args.html.empty() && !(args.log.empty() && args.trace.empty()))
    wrong("with a verdict, --trace and --log are for the page that --html writes");
  if (!args.log.empty() && !args.trace.empty()) wrong("--trace has a log: --log does not go with it");
  if (args.html == "-" && args.json) wrong("--html - and --json both write to stdout");
  cli::require_not_input("--html", args.html, {args.verdict, args.attestation, args.pubkey, args.log});
}

audit::Verdict read_verdict(const Args& args) {
  if (args.attestation.empty()) {
    const std::string text = cli::read_input(args.verdict, audit::kMaxVerdictBytes);
    return within(args.verdict.native(), [&] { return audit::parse_verdict(text); });
  }
  const seal::PublicKey key = seal::PublicKey::read(args.pubkey);
  const std::string text = cli::read_input(args.attestation, report::kMaxEnvelopeBytes);
  return within(args.attestation.native(), [&] { return report::open_attestation(text, key); });
}

void write_page(const Args& args, const audit::Verdict& verdict) {
  report::PageInput input{.verdict = verdict};
  std::optional<report::RunLog> run;
  const fs::path log = args.trace.empty() ? args.log : trace::Layout{args.trace}.log();
  if (!log.empty()) run = report::read_run_log(log, verdict);
  if (run) input.run = &*run;
  if (!args.attestation.empty()) input.signer = seal::PublicKey::read(args.pubkey).name();
  cli::write_output(args.html, report::page(input));
}

cli::Exit show_verdict(const Args& args) {
  require_consistent_verdict(args);
  const audit::Verdict verdict = read_verdict(args);
  if (!args.html.empty()) write_page(args, verdict);
  if (args.html == "-") return cli::Exit::kDone;
  args.json ? cli::print_json(audit::to_json(verdict))
            : cli::print(audit::describe(verdict, cli::colour_on_stdout()));
  return cli::Exit::kDone;
}

cli::Exit inspect(const Args& args) {
  const auto wrong = [](const char* why) { fail(Fault::kUsage, why); };
  const bool verdict = !args.verdict.empty() || !args.attestation.empty();
  if (!verdict && !args.lineage && !(args.pubkey.empty() && args.html.empty() && args.log.empty()))
    wrong("--pubkey, --html and --log go with --verdict or --attestation");
  if (args.lineage && (args.trace.empty() || args.pubkey.empty() || verdict || !args.html.empty() ||
                       !args.log.empty() || args.json))
    wrong("--lineage goes with --trace and --pubkey alone");
  if (args.tokenize != !args.model.empty()) wrong("--tokenize and --model go together");
  if (args.policy_from.empty() != args.data.empty()) wrong("--policy-from and --data go together");
  if (args.out != "-" && args.policy_from.empty() && !args.lineage && !args.calibrate)
    wrong("--out goes with --policy-from, --lineage or --calibrate");
  if (!args.calibrate && (args.device != "cpu" || args.threads != 0))
    wrong("--device and --threads go with --calibrate");
  if (args.calibrate && args.json) wrong("--calibrate writes JSON anyway");
  // With a verdict, a trace is what its page is drawn from.
  const int tasks = (args.tokenize ? 1 : 0) + (verdict || !args.trace.empty() ? 1 : 0) +
                    (args.evidence.empty() ? 0 : 1) + (args.proof.empty() ? 0 : 1) +
                    (args.policy.empty() ? 0 : 1) + (args.policy_from.empty() ? 0 : 1) +
                    (args.calibrate ? 1 : 0);
  if (tasks != 1)
    wrong(
        "give one of --trace, --evidence, --proof, --verdict, --attestation, --tokenize, --policy, "
        "--policy-from and --calibrate");
  if (args.calibrate) return calibrate(args);
  if (verdict) return show_verdict(args);
  if (args.tokenize) return tokenize(args);
  if (!args.evidence.empty()) return show_evidence(args);
  if (!args.proof.empty()) return show_proof(args);
  if (!args.policy.empty()) return show_policy(args);
  if (!args.policy_from.empty()) return draft(args);
  if (args.lineage) {
    const auto proof = audit::prove_lineage({args.trace}, seal::PublicKey::read(args.pubkey));
    cli::write_output(args.out, audit::to_text(proof));
    return cli::Exit::kDone;
  }
  const std::optional<audit::Disclosure> disclosed = audit::disclosure_of_trace({args.trace});
  if (trace::is_serving_trace({args.trace})) {
    const trace::ServingOverview answers = trace::serving_overview({args.trace});
    if (!args.json) {
      cli::print(trace::describe(answers) + "disclosed  " + (disclosed ? describe(*disclosed) : "nothing") +
                 '\n');
      return cli::Exit::kDone;
    }
    Json json = trace::to_json(answers);
    json["disclosed"] = disclosed ? to_json(*disclosed) : Json();
    cli::print_json(json);
    return cli::Exit::kDone;
  }
  const trace::Overview seen = trace::overview({args.trace});
  if (!args.json) {
    cli::print(trace::describe(seen) + "disclosed  " + (disclosed ? describe(*disclosed) : "nothing") + '\n');
    return cli::Exit::kDone;
  }
  Json json = trace::to_json(seen);
  json["disclosed"] = disclosed ? to_json(*disclosed) : Json();
  cli::print_json(json);
  return cli::Exit::kDone;
}

}  // namespace
}  // namespace aftune

int main(int argc, char** argv) {
  return aftune::cli::run<aftune::Args>(
      "aftune-inspect",
      "Shows what a trace, evidence or a policy holds, a verdict, or tokens; drafts a policy.", aftune::flags,
      aftune::inspect, argc, argv);
}
