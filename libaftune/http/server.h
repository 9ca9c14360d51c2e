#pragma once

#include "http/api.h"
#include "http/listener.h"

namespace aftune::http {

struct ServerOptions {
  ApiOptions api;
  ConnectionOptions connection;
  int connections = 128;  ///< at once, a thread for each
};

/// Answers over HTTP with a service. It goes before the service does.
class Server {
 public:
  Server(serve::Service& service, ListeningSocket socket, ServerOptions options)
      : api_(service, std::move(options.api), [this] { return listener_.connections(); }),
        listener_(std::move(socket), api_, options.connection, options.connections) {}

  const Address& address() const { return listener_.address(); }
  /// Takes nothing more; what was taken is answered.
  void stop() {
    api_.stop();
    listener_.stop();
  }
  /// Gives up what is still being answered.
  void cancel() { api_.cancel(); }
  /// After stop(): everybody has left.
  bool is_done() const { return listener_.connections() == 0; }

 private:
  Api api_;
  Listener listener_;
};

}  // namespace aftune::http
