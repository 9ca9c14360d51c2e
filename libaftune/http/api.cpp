#include "http/api.h"

#include <charconv>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/random.h"
#include "http/connection.h"
#include "http/refusal.h"

namespace aftune::http {
namespace {

// What may lie ready for a client who does not fetch it.
constexpr std::size_t kMaxBacklog = std::size_t{1} << 20;
constexpr int kClientGone = 499;  // as nginx counts them; nobody gets it

std::string sse(const Json& json) {
  return std::string("data: ").append(json_text(json)).append("\n\n");
}

Reply plain(std::string text) {
  return {.type = "text/plain; charset=utf-8", .body = std::move(text)};
}

/// One of those that a semaphore lets in.
class Turn {
 public:
  explicit Turn(std::counting_semaphore<>& semaphore) : semaphore_(semaphore) { semaphore_.acquire(); }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  ~Turn() { semaphore_.release(); }

 private:
  std::counting_semaphore<>& semaphore_;
};

// Why an answer did not come to its end.
Refusal refusal_of(const serve::AnswerEnd& end) {
  if (end.how == generate::Ended::kCancelled) return {503, "the server is stopping", "stopping"};
  return {500, end.error, "answer_failed"};
}

}  // namespace

/// A request whose answers are under way. With it they are given up, unless they have ended.
class Api::Running {
 public:
  Running(std::shared_ptr<AnswerQueue> events, Wording words, std::size_t asks, int choices,
          bool usage_wanted, std::function<bool()> peer)
      : queue(std::move(events)),
        wording(std::move(words)),
        ends(asks),
        peer_is_there(std::move(peer)),
        left(asks),
        with_usage(usage_wanted),
        choices_(static_cast<std::size_t>(choices)) {}
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  ~Running() { queue->abandon(); }

  /// The next event; nullopt if there is none yet.
  std::optional<AnswerEvent> next() { return queue->next(kTick); }
  /// Is asked after each event, and looks ten times a second.
  bool client_is_gone() {
    const auto now = std::chrono::steady_clock::now();
    if (now - looked_ < kTick) return false;
    looked_ = now;
    return !peer_is_there() || queue->abandoned();
  }
  void take(serve::AnswerEnd end) {
    const auto ask = static_cast<std::size_t>(end.ask);
    ends[ask] = std::move(end);
    --left;
  }
  /// A prompt counts once, however many answers it has.
  Usage usage() const {
    Usage usage;
    for (std::size_t i = 0; i < ends.size(); ++i) {
      if (i % choices_ == 0) usage.prompt_tokens += ends[i].prompt_tokens;
      usage.answer_tokens += std::ssize(ends[i].answer.tokens);
    }
    return usage;
  }

  std::shared_ptr<AnswerQueue> queue;
  Wording wording;
  std::vector<serve::AnswerEnd> ends;
  std::function<bool()> peer_is_there;
  std::size_t left;
  bool with_usage;

 private:
  std::size_t choices_;
  std::chrono::steady_clock::time_point looked_ = std::chrono::steady_clock::now();
};

Api::Api(serve::Service& service, ApiOptions options, std::function<int()> connections)
    : service_(service),
      options_(std::move(options)),
      connections_(std::move(connections)),
      id_prefix_(random_hex(8)),
      fingerprint_(cat("fp_", to_hex(service.manifest().base.root).substr(0, 16))) {}

const std::vector<Api::Route>& Api::routes() {
  static const std::vector<Route> all{
      {"POST", "/v1/completions", false, &Api::complete}, {"POST", "/v1/chat/completions", false, &Api::chat},
      {"GET", "/v1/models", false, &Api::models},         {"GET", "/v1/models/", true, &Api::model},
      {"GET", "/v1/checkpoint", false, &Api::checkpoint}, {"GET", "/v1/receipts/", true, &Api::receipt},
      {"GET", "/healthz", false, &Api::health},           {"GET", "/metrics", false, &Api::metrics},
  };
  return all;
}

const Api::Route* Api::find(std::string_view path) {
  for (const Route& route : routes())
    if (route.has_rest ? path.starts_with(route.path) && path.size() > route.path.size() : path == route.path)
      return &route;
  return nullptr;
}

Reply Api::count(const Route* route, Reply reply) {
  metrics_->responded(route == nullptr ? "other" : route->path, reply.status);
  return reply;
}

void Api::require_may(const Call& call, const Route& route) const {
  if (call.method != route.method && !(call.method == "HEAD" && route.method == "GET"))
    throw Refusal(405, cat("this path takes ", route.method, " only"), "method_not_allowed");
  const bool open = route.answer == &Api::health;
  if (!open && options_.tokens && !options_.tokens->allow(call.authorization))
    throw Refusal(401, "no valid bearer token was given", "invalid_api_key");
  if (route.method != "POST") return;
  if (stopping_) throw Refusal(503, "the server is stopping", "stopping");
  if (service_.recorder() != nullptr && service_.recorder()->failed())
    throw Refusal(500, "answers cannot be recorded, so none is given", "recording_failed");
}

std::optional<Reply> Api::refuse(const Call& call) {
  const Route* route = find(call.path);
  try {
    if (route == nullptr) throw Refusal(404, "there is nothing at this path", "unknown_url");
    require_may(call, *route);
    return std::nullopt;
  } catch (const Refusal& refusal) {
    Reply reply = refusal.to_reply();
    if (reply.status == 405) reply.headers.emplace_back("Allow", route->method);
    return count(route, std::move(reply));
  }
}

Reply Api::answer(const Call& call) {
  const Route* route = find(call.path);
  AFTUNE_CHECK(route != nullptr);
  try {
    return count(route, (this->*route->answer)(call, std::string_view(call.path).substr(route->path.size())));
  } catch (const Refusal& refusal) {
    return count(route, refusal.to_reply());
  } catch (const std::exception& e) {
    return count(route, Refusal(500, e.what()).to_reply());
  }
}

Reply Api::complain(int status, std::string_view why) {
  return count(nullptr, Refusal(status, std::string(why)).to_reply());
}

Reply Api::complete(const Call& call, std::string_view) {
  return generate(call, serve::Endpoint::kCompletions);
}

Reply Api::chat(const Call& call, std::string_view) {
  return generate(call, serve::Endpoint::kChat);
}

serve::Request Api::parse(const Call& call, serve::Endpoint endpoint) {
  const Turn turn(parsing_);
  try {
    serve::Request request = service_.parse(call.body, endpoint);
    if (!request.model.empty() && request.model != options_.name)
      throw Refusal(404, cat("there is no model \"", request.model, "\" here"), "model_not_found", "model");
    return request;
  } catch (const serve::RequestError& e) {
    throw Refusal(400, e.what(), "", e.field());
  }
}

Heading Api::heading(serve::Endpoint endpoint) {
  return {.endpoint = endpoint,
          .id = cat(id_prefix_, '-', ++ids_),
          .model = options_.name,
          .fingerprint = fingerprint_,
          .created = options_.now()};
}

std::shared_ptr<Api::Running> Api::start(const Call& call, serve::Endpoint endpoint,
                                         const serve::Request& request) {
  const auto queue = std::make_shared<AnswerQueue>(kMaxBacklog, [&service = service_](const auto& ids) {
    for (const generate::AskId id : ids) service.cancel(id);
  });
  auto running = std::make_shared<Running>(
      queue,
      Wording(heading(endpoint), service_.tokenizer(), std::ssize(request.asks), request.include_usage),
      request.asks.size(), request.choices, request.include_usage, call.peer_is_there);
  serve::AnswerListener listener = queue->listener(request.stream || request.asks.front().logprobs >= 0);
  listener.on_end = [metrics = metrics_, tell = std::move(listener.on_end)](serve::AnswerEnd end) {
    metrics->ended(end);
    tell(std::move(end));
  };
  const std::lock_guard lock(submitting_);
  if (service_.load().waiting + request.asks.size() > options_.most_waiting)
    throw Refusal(429, "too many answers wait already", "queue_full");
  try {
    queue->started(service_.submit(call.body, endpoint, request, std::move(listener)));
  } catch (const Error& e) {
    if (e.fault() != Fault::kUsage) throw;
    throw Refusal(400, e.what(), "", "max_tokens");  // more than the cache ever holds
  }
  return running;
}

Reply Api::generate(const Call& call, serve::Endpoint endpoint) {
  const serve::Request request = parse(call, endpoint);
  const std::shared_ptr<Running> running = start(call, endpoint, request);
  if (!request.stream) return collect(*running);
  return {.type = "text/event-stream", .body = "", .stream = [this, running](const Write& write) {
            return stream(*running, write);
          }};
}

Reply Api::collect(Running& running) {
  while (running.left > 0) {
    if (std::optional<AnswerEvent> event = running.next()) {
      if (!event->end) {
        running.wording.keep(*event);
        continue;
      }
      if (event->end->how != generate::Ended::kFinished) throw refusal_of(*event->end);
      running.take(std::move(*event->end));
    }
    if (running.client_is_gone()) return {.status = kClientGone, .body = ""};
    if (cancelling_) throw Refusal(503, "the server is stopping", "stopping");
  }
  return {.body = json_text(running.wording.whole(running.ends, running.usage()))};
}

bool Api::stream(Running& running, const Write& write) {
  const auto say = [&](const Json& json) { return write(sse(json)); };
  const auto give_up = [&](const Refusal& why) { return say(why.to_json()) && write("data: [DONE]\n\n"); };
  const auto asks = std::ssize(running.ends);
  for (std::int64_t ask = 0; ask < asks && running.wording.chats(); ++ask)
    if (!say(running.wording.first_chunk(ask))) return false;
  while (running.left > 0) {
    if (std::optional<AnswerEvent> event = running.next()) {
      if (event->end && event->end->how != generate::Ended::kFinished)
        return give_up(refusal_of(*event->end));
      const Json chunk = event->end ? running.wording.last_chunk(*event->end) : running.wording.chunk(*event);
      if (!say(chunk)) return false;
      if (event->end) running.take(std::move(*event->end));
    }
    if (running.client_is_gone()) return false;
    if (cancelling_ && running.left > 0) return give_up({503, "the server is stopping", "stopping"});
  }
  if (running.with_usage && !say(running.wording.usage_chunk(running.usage()))) return false;
  return write("data: [DONE]\n\n");
}

Json Api::model_json() const {
  return {{"id", options_.name},
          {"object", "model"},
          {"created", service_.manifest().created},
          {"owned_by", service_.recorder() != nullptr ? service_.recorder()->origin() : "aftune"},
          {"root", to_hex(service_.manifest().base.root)}};
}

Reply Api::models(const Call&, std::string_view) {
  return {.body = json_text({{"object", "list"}, {"data", Json::array({model_json()})}})};
}

Reply Api::model(const Call&, std::string_view rest) {
  if (rest != options_.name)
    throw Refusal(404, cat("there is no model \"", rest, "\" here"), "model_not_found", "model");
  return {.body = json_text(model_json())};
}

Reply Api::health(const Call&, std::string_view) {
  const bool failed = service_.recorder() != nullptr && service_.recorder()->failed();
  const char* state = failed ? "recording failed" : stopping_ ? "stopping" : "ok";
  return {.status = failed || stopping_ ? 503 : 200, .body = json_text({{"status", state}})};
}

Reply Api::metrics(const Call&, std::string_view) {
  const generate::Scheduler::Load load = service_.load();
  Reply reply = plain(metrics_->text(
      {.waiting = load.waiting,
       .running = load.running,
       .sealed_leaves = service_.recorder() != nullptr ? service_.recorder()->checkpoint().size : 0,
       .connections = connections_()}));
  reply.type = "text/plain; version=0.0.4; charset=utf-8";
  return reply;
}

const serve::Recorder& Api::recorder() const {
  if (service_.recorder() == nullptr) throw Refusal(404, "this server keeps no record", "no_record");
  return *service_.recorder();
}

Reply Api::checkpoint(const Call&, std::string_view) {
  return plain(recorder().note());
}

Reply Api::receipt(const Call&, std::string_view rest) {
  std::uint64_t index = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), index);
  if (error != std::errc() || end != rest.data() + rest.size())
    throw Refusal(400, "the index of a receipt is a whole number", "", "index");
  const std::optional<seal::LeafProof> proof = recorder().proof(index);
  if (!proof)
    throw Refusal(404, "no checkpoint seals this leaf yet; its receipt says by when one does", "not_sealed",
                  "index");
  return plain(proof->to_text());
}

}  // namespace aftune::http
