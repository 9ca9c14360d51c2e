#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <semaphore>
#include <string>
#include <string_view>
#include <vector>

#include "http/answer_queue.h"
#include "http/bearer_tokens.h"
#include "http/call.h"
#include "http/metrics.h"
#include "http/wording.h"
#include "serve/service.h"

namespace aftune::http {

struct ApiOptions {
  std::string name;                    ///< of the model, as clients know it
  std::optional<BearerTokens> tokens;  ///< nullopt: anybody may ask
  std::size_t most_waiting = 1024;     ///< answers that wait for room
  std::function<std::int64_t()> now;   ///< unix seconds
};

/// OpenAI's API over a service, and what there is besides it (docs/serving.http.md).
class Api : public Answerer {
 public:
  /// Keeps a reference to the service. `connections` is for the metrics.
  Api(serve::Service& service, ApiOptions options, std::function<int()> connections);

  std::optional<Reply> refuse(const Call& call) override;
  Reply answer(const Call& call) override;
  Reply complain(int status, std::string_view why) override;

  /// New requests are refused from now on.
  void stop() { stopping_ = true; }
  /// So is what is under way.
  void cancel() { cancelling_ = true; }

 private:
  class Running;
  struct Route {
    std::string_view method, path;
    bool has_rest;  // the path goes on
    Reply (Api::*answer)(const Call& call, std::string_view rest);
  };
  static const std::vector<Route>& routes();
  static const Route* find(std::string_view path);
  void require_may(const Call& call, const Route& route) const;
  Reply count(const Route* route, Reply reply);

  Reply complete(const Call& call, std::string_view rest);
  Reply chat(const Call& call, std::string_view rest);
  Reply models(const Call& call, std::string_view rest);
  Reply model(const Call& call, std::string_view rest);
  Reply health(const Call& call, std::string_view rest);
  Reply metrics(const Call& call, std::string_view rest);
  Reply checkpoint(const Call& call, std::string_view rest);
  Reply receipt(const Call& call, std::string_view rest);

  Reply generate(const Call& call, serve::Endpoint endpoint);
  serve::Request parse(const Call& call, serve::Endpoint endpoint);
  std::shared_ptr<Running> start(const Call& call, serve::Endpoint endpoint, const serve::Request& request);
  Reply collect(Running& running);
  bool stream(Running& running, const Write& write);
  Heading heading(serve::Endpoint endpoint);
  Json model_json() const;
  const serve::Recorder& recorder() const;

  serve::Service& service_;
  const ApiOptions options_;
  const std::function<int()> connections_;
  const std::string id_prefix_, fingerprint_;
  std::atomic<std::uint64_t> ids_ = 0;
  std::atomic<bool> stopping_ = false, cancelling_ = false;
  // A body takes many times its size while it is parsed, so that few are at once.
  std::counting_semaphore<> parsing_{4};
  std::mutex submitting_;  // so that the queue is looked at and joined in one
  // The listeners of answers that nobody waits for have it too.
  const std::shared_ptr<Metrics> metrics_ = std::make_shared<Metrics>();
};

}  // namespace aftune::http
