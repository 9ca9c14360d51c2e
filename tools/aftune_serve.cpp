// Answers requests with a model, of a file or over HTTP, records the answers, and gives a signed receipt for
// each.

#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <ctime>
#include <deque>
#include <fstream>
#include <iostream>
#include <map>
#include <mutex>
#include <optional>

#include "audit/lineage.h"
#include "base/error.h"
#include "base/progress.h"
#include "cli/cli.h"
#include "device/device.h"
#include "http/server.h"
#include "serve/served.h"
#include "serve/service.h"

namespace aftune {
namespace {

constexpr std::int64_t kMany = std::int64_t{1} << 40;
constexpr std::uint64_t kMaxLineage = std::uint64_t{1} << 20;
constexpr std::chrono::milliseconds kTick{100};

struct Args {
  fs::path model, trace, key, lineage;
  fs::path in, out;
  std::string listen, name;
  fs::path tokens;
  int connections = 128;
  std::int64_t max_queue = 1024, timeout = 30;
  std::uint64_t max_body = serve::Limits().bytes;
  bool no_auth = false;
  std::string numerics = "i14", device = "cpu", run_id;
  int layers_per_block = 1, threads = 0, batch = 32;
  std::int64_t max_tokens = 4096, default_tokens = 256, pass_tokens = 512, merge_delay = 60;
  std::int64_t checkpoint_answers = 4096;
  std::uint64_t cache = std::uint64_t{4} << 30;
  bool no_record = false, resume = false, keep_open = false, quiet = false;
};

void server_flags(CLI::App& app, Args& args) {
  const auto server = [](cli::Flag flag) { return flag.group("server"); };
  server(cli::text(app, "--listen", "ADDRESS", args.listen,
                   "answer over HTTP: a port, ADDRESS:PORT or [ADDRESS]:PORT; 127.0.0.1 if only a port is "
                   "given; port 0 is any that is free"));
  server(cli::text(app, "--name", "NAME", args.name, "the model's name for clients [the folder's name]"));
  server(cli::path(app, "--tokens", "FILE", args.tokens,
                   "bearer tokens that clients must have one of, one a line; only the owner may read it"));
  server(cli::toggle(app, "--no-auth", args.no_auth, "without --tokens on other addresses than loopback"));
  server(cli::integer(app, "--max-queue", args.max_queue, "answers that may wait for room", 1, 1 << 20));
  server(cli::size(app, "--max-body", args.max_body, "largest request; K, M as suffix; 4M at most"));
  server(cli::integer(app, "--connections", args.connections, "connections at once, a thread for each", 1,
                      1 << 12));
  server(cli::integer(app, "--timeout", args.timeout,
                      "seconds for a request to come whole, and for what is written to be taken", 1, 3600));
}

void flags(CLI::App& app, Args& args) {
  const auto input = [](cli::Flag flag) { return flag.group("inputs and outputs"); };
  input(cli::model(app, args.model)).required();
  input(cli::path(app, "--in", "FILE", args.in, "requests, JSON objects one a line, - for stdin [-]"));
  input(cli::out(app, args.out, "FILE", "answers to write, in the order of the requests, - for stdout [-]"));
  server_flags(app, args);
  const auto limit = [](cli::Flag flag) { return flag.group("answers"); };
  limit(cli::text(app, "--numerics", "PROFILE", args.numerics, "arithmetic: i14, i14:G or f32 [i14]"));
  limit(cli::integer(app, "--default-tokens", args.default_tokens,
                     "tokens of an answer, where a request does not say", 1, kMany));
  limit(cli::integer(app, "--max-tokens", args.max_tokens, "tokens that a request may ask for", 1, kMany));
  const auto record = [](cli::Flag flag) { return flag.group("record"); };
  record(cli::trace(app, args.trace));
  record(cli::key(app, args.key));
  record(cli::integer(app, "--layers-per-block", args.layers_per_block, "layers of a cell", 1, 1 << 16));
  record(cli::path(app, "--lineage", "FILE", args.lineage,
                   "proof of the training run that made this model (aftune-inspect --lineage)"));
  record(cli::integer(app, "--merge-delay", args.merge_delay,
                      "seconds within which a checkpoint seals an answer that was given", 2, kMany));
  record(cli::integer(app, "--checkpoint-answers", args.checkpoint_answers,
                      "answers after which a checkpoint is signed at the latest", 1, kMany));
  record(cli::hex(app, "--run-id", args.run_id, 16, "the log's name, 16 bytes; random if not given"));
  record(cli::toggle(app, "--resume", args.resume, "go on with the trace that is there"));
  record(cli::toggle(app, "--keep-open", args.keep_open, "leave the log open, for --resume"));
  record(cli::toggle(app, "--no-record", args.no_record, "answer without a trace and without receipts"));
  const auto run = [](cli::Flag flag) { return flag.group("execution (changes no bit)"); };
  run(cli::integer(app, "--batch", args.batch, "answers that grow at once", 1, 1 << 16));
  run(cli::integer(app, "--pass-tokens", args.pass_tokens, "tokens of a pass: what prompts are cut to", 1,
                   1 << 20));
  run(cli::size(app, "--cache", args.cache, "memory for keys and values; K, M, G, T as suffix"));
  run(cli::device(app, args.device));
  run(cli::threads(app, args.threads));
  run(cli::quiet(app, args.quiet));
}

// Not a standard stream.
bool is_file(const fs::path& path) {
  return !path.empty() && path != "-";
}

void require_server(const Args& args) {
  const auto wrong = [](const auto&... parts) { fail(Fault::kUsage, parts...); };
  if (args.listen.empty()) {
    const Args usual;
    if (!args.name.empty() || !args.tokens.empty() || args.no_auth || args.connections != usual.connections ||
        args.max_queue != usual.max_queue || args.timeout != usual.timeout || args.max_body != usual.max_body)
      wrong("a flag of the server is given without --listen");
    return;
  }
  if (!args.in.empty() || !args.out.empty()) wrong("--in and --out do not go with --listen");
  if (!args.tokens.empty() && args.no_auth) wrong("give one of --tokens and --no-auth");
  if (args.max_body == 0 || args.max_body > serve::Limits().bytes)
    wrong("--max-body: ", args.max_body, " is not within 1 and ", serve::Limits().bytes);
  const auto address = within("--listen", [&] { return http::Address::parse(args.listen); });
  if (!address.is_loopback() && args.tokens.empty() && !args.no_auth)
    wrong("--listen: ", address.host, " can be reached by others; hint: give --tokens, or --no-auth");
}

void require_consistent(const Args& args) {
  const auto wrong = [](const auto&... parts) { fail(Fault::kUsage, parts...); };
  if (args.trace.empty() != args.no_record) wrong("give one of --trace and --no-record");
  if (args.trace.empty() != args.key.empty()) wrong("--trace and --key go together");
  if (args.no_record && (args.resume || args.keep_open || !args.run_id.empty() || !args.lineage.empty()))
    wrong("--no-record goes with no flag about a trace");
  require_server(args);
  if (args.default_tokens > args.max_tokens) wrong("--default-tokens is more than --max-tokens");
  if (!kernels::profile_from_name(args.numerics))
    wrong("--numerics: ", args.numerics,
          " is not in this version; there are f32, i14 and i14:G, G 128, 256, 512 or 1024");
  if (kernels::profile_from_name(args.numerics)->native)
    wrong("--numerics native is for training: no one could replay an answer of it");
  if (is_file(args.out))
    cli::require_not_input("--out", args.out,
                           {is_file(args.in) ? args.in : fs::path(), args.key, args.lineage});
}

// The proof must be of the model that is served, or the log would contradict itself.
void read_lineage(const Args& args, serve::ServiceOptions& options) {
  const std::string text = cli::read_input(args.lineage, kMaxLineage);
  within(args.lineage.native(), [&] {
    as_usage([&] {
      record::TensorList exported;
      options.lineage = audit::lineage_of(audit::parse_lineage(text), &exported);
      options.base_root = exported.root;
    });
  });
}

serve::ServiceOptions options_of(const Args& args, const seal::SecretKey* key, Accelerator* accelerator) {
  serve::ServiceOptions options{.model = args.model,
                                .profile = *kernels::profile_from_name(args.numerics),
                                .layers_per_block = args.layers_per_block,
                                .threads = cli::thread_count(args.threads),
                                .accelerator = accelerator,
                                .default_tokens = args.default_tokens,
                                .most_tokens = args.max_tokens,
                                .merge_delay = args.merge_delay,
                                .run_id = args.run_id};
  options.scheduling.running = args.batch;
  options.scheduling.pass_tokens = std::max<std::int64_t>(args.pass_tokens, args.batch);
  options.scheduling.cache_bytes = static_cast<std::int64_t>(args.cache);
  if (args.no_record) return options;
  if (!args.lineage.empty()) read_lineage(args, options);
  options.record = serve::RecordOptions{.trace = args.trace,
                                        .key = key,
                                        .resume = args.resume,
                                        .checkpoint_leaves = args.checkpoint_answers,
                                        .now = [] { return cli::current_time(kMaxJsonInteger); }};
  return options;
}

Json answer_json(const serve::AnswerEnd& end, const std::string& id) {
  Json json = {{"id", id},
               {"ask", end.ask},
               {"endpoint", "batch"},
               {"text", end.answer.text},
               {"tokens", end.answer.tokens},
               {"prompt_tokens", end.prompt_tokens},
               {"finish_reason", serve::name(end.answer.finish)}};
  if (!end.answer.logprobs.empty()) {
    Json list = Json::array();
    for (const auto& position : end.answer.logprobs) {
      Json entries = Json::array();
      for (const generate::TokenLogprob& entry : position)
        entries.push_back({entry.id, cli::shortest(entry.logprob)});
      list.push_back(std::move(entries));
    }
    json["logprobs"] = std::move(list);
  }
  if (end.receipt) json["receipt"] = end.receipt->to_json();
  return json;
}

/// Answers rows as they come, a bounded number ahead of the first that is not done, and prints in their
/// order.
class Batch {
 public:
  Batch(serve::Service& service, std::ostream& out, std::size_t ahead)
      : service_(service), out_(out), ahead_(ahead) {}

  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;
  /// What still runs reports here, so it is waited for.
  ~Batch() {
    std::unique_lock lock(mutex_);
    if (!open_.empty())
      for (const generate::AskId id : asked_) service_.cancel(id);
    wake_.wait(lock, [&] {
      return std::all_of(open_.begin(), open_.end(), [](const auto& row) { return row.second.left == 0; });
    });
  }

  /// Takes one row; waits while too many are under way.
  void take(const std::string& line) {
    const std::int64_t row = rows_++;
    serve::Request request;
    try {
      request = service_.parse(line, serve::Endpoint::kBatch);
    } catch (const serve::RequestError& e) {
      refuse(row, e.what());
      return;
    }
    const std::string id = request.id.empty() ? cat(row) : request.id;
    std::unique_lock lock(mutex_);
    if (!wait(lock, [&] { return open_.size() < ahead_; })) return;
    auto& pending = open_[row];
    pending.left = std::ssize(request.asks);
    pending.lines.resize(request.asks.size());
    lock.unlock();
    try {
      const auto ids = service_.submit(line, serve::Endpoint::kBatch, request,
                                       {.on_token = nullptr, .on_end = [this, row, id](serve::AnswerEnd end) {
                                          ended(row, id, std::move(end));
                                        }});
      asked_.insert(asked_.end(), ids.begin(), ids.end());
    } catch (const Error& e) {
      if (e.fault() != Fault::kUsage) throw;
      {
        const std::lock_guard guard(mutex_);
        open_.erase(row);
      }
      refuse(row, e.what());
    }
  }

  /// Waits for all rows; false if one of them has no answer.
  bool finish() {
    std::unique_lock lock(mutex_);
    if (!wait(lock, [&] { return open_.empty(); })) {
      for (const generate::AskId id : asked_) service_.cancel(id);
      return false;
    }
    if (!out_.flush()) fail(Fault::kSystem, "answers: write failed");
    return refused_ == 0;
  }
  std::int64_t rows() const { return rows_; }

 private:
  struct Pending {
    std::int64_t left = 0;
    std::vector<std::string> lines;
  };

  // A signal wakes nobody, so it is asked for ten times a second. False when one came.
  template <class Ready>
  bool wait(std::unique_lock<std::mutex>& lock, const Ready& ready) {
    while (!interrupted())
      if (wake_.wait_for(lock, kTick, ready)) return true;
    return false;
  }
  void refuse(std::int64_t row, const std::string& why) {
    cli::complain(cat("row ", row, ": ", why));
    const std::lock_guard lock(mutex_);
    ++refused_;
    open_[row] = {0, {json_text(Json{{"id", cat(row)}, {"error", why}})}};
    print_ready();
  }
  void ended(std::int64_t row, const std::string& id, serve::AnswerEnd end) {
    const std::lock_guard lock(mutex_);
    Pending& pending = open_[row];
    const bool whole = end.how == generate::Ended::kFinished;
    if (!whole) {
      ++refused_;
      cli::complain(cat("row ", row, ": ", end.error.empty() ? "cancelled" : end.error));
    }
    pending.lines[static_cast<std::size_t>(end.ask)] =
        json_text(whole ? answer_json(end, id) : Json{{"id", id}, {"ask", end.ask}, {"error", end.error}});
    --pending.left;
    print_ready();
  }
  void print_ready() {
    while (!open_.empty() && open_.begin()->second.left == 0 && open_.begin()->first == printed_) {
      for (const std::string& line : open_.begin()->second.lines) out_ << line << '\n';
      open_.erase(open_.begin());
      ++printed_;
    }
    wake_.notify_all();
  }

  serve::Service& service_;
  std::ostream& out_;
  std::size_t ahead_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::map<std::int64_t, Pending> open_;  // rows that are not printed
  std::vector<generate::AskId> asked_;
  std::int64_t rows_ = 0, printed_ = 0, refused_ = 0;
};

/// What rows are read from and answers written to, opened before a trace is begun.
struct Files {
  explicit Files(const Args& args) {
    if (is_file(args.in)) {
      file.open(args.in);
      if (!file) fail(Fault::kUsage, args.in.native(), ": cannot be read");
    }
    if (is_file(args.out)) {
      to.open(args.out, std::ios::trunc);
      if (!to) fail(Fault::kUsage, args.out.native(), ": cannot be written");
    }
  }
  std::istream& in() { return file.is_open() ? file : std::cin; }
  std::ostream& out() { return to.is_open() ? to : std::cout; }

  std::ifstream file;
  std::ofstream to;
};

cli::Exit answer_rows(const Args& args, Files& files, serve::Service& service) {
  Batch batch(service, files.out(), 4 * static_cast<std::size_t>(args.batch));
  for (std::string line; !interrupted() && std::getline(files.in(), line);) batch.take(line);
  const bool all = batch.finish();
  service.close(!args.keep_open && !interrupted());
  if (interrupted()) return cli::Exit::kInterrupted;
  return all ? cli::Exit::kDone : cli::Exit::kFailed;
}

http::ServerOptions server_options(const Args& args) {
  http::ServerOptions options{
      .api = {.name = args.name,
              .tokens = std::nullopt,
              .most_waiting = static_cast<std::size_t>(args.max_queue),
              .now = [] { return cli::current_time(kMaxJsonInteger); }},
      .connection = {.patience = std::chrono::seconds(args.timeout), .most_body = args.max_body},
      .connections = args.connections};
  if (args.name.empty()) options.api.name = fs::canonical(args.model).filename().native();
  if (!args.tokens.empty()) options.api.tokens = http::BearerTokens::read(args.tokens);
  return options;
}

// The first signal lets what runs come to its end, the second gives it up; both are how a server is to end.
void listen_until_told(http::ListeningSocket socket, const http::ServerOptions& options,
                       serve::Service& service) {
  http::Server server(service, std::move(socket), options);
  cli::print(cat("listening on http://", server.address().to_text(), "\n"));
  while (!interrupted()) std::this_thread::sleep_for(kTick);
  server.stop();
  while (!server.is_done()) {
    if (interrupts() > 1) server.cancel();
    std::this_thread::sleep_for(kTick);
  }
}

std::optional<seal::SecretKey> read_key(const Args& args) {
  if (args.key.empty()) return std::nullopt;
  return seal::SecretKey::read(args.key, [] { return cli::ask_passphrase("passphrase"); });
}

// What the server needs besides a service comes first: a trace is begun only if all is there.
cli::Exit serve_over_http(const Args& args) {
  catch_interrupts(2);
  const http::ServerOptions options = server_options(args);
  http::ListeningSocket socket(http::Address::parse(args.listen));
  const auto key = read_key(args);
  const device::Chosen device(args.device);
  serve::Service service(options_of(args, key ? &*key : nullptr, device.accelerator()));
  listen_until_told(std::move(socket), options, service);
  service.close(!args.keep_open);
  return cli::Exit::kDone;
}

cli::Exit serve_rows(const Args& args) {
  catch_interrupts();
  Files files(args);
  const auto key = read_key(args);
  const device::Chosen device(args.device);
  serve::Service service(options_of(args, key ? &*key : nullptr, device.accelerator()));
  return answer_rows(args, files, service);
}

cli::Exit serve_requests(const Args& args) {
  require_consistent(args);
  return args.listen.empty() ? serve_rows(args) : serve_over_http(args);
}

}  // namespace
}  // namespace aftune

int main(int argc, char** argv) {
  return aftune::cli::run<aftune::Args>("aftune-serve",
                                        "Answers requests with a model, and records the answers.",
                                        aftune::flags, aftune::serve_requests, argc, argv);
}
