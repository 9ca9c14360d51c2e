#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace aftune::http {

/// A request as a client sent it.
struct Call {
  std::string method, path;
  std::string authorization;            ///< the header's value
  std::string body;                     ///< empty until the head was taken
  std::function<bool()> peer_is_there;  ///< false once the client has closed its connection
};

/// Gives bytes to the client; false if it has gone, or takes none for too long.
using Write = std::function<bool(std::string_view)>;

struct Reply {
  int status = 200;
  std::string type = "application/json";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers = {};
  /// In place of a body: called once, and writes until all is said; false if the connection must be cut
  /// because it is not.
  std::function<bool(const Write&)> stream = nullptr;
};

/// What answers calls. All methods are called from many threads at once.
class Answerer {
 public:
  virtual ~Answerer() = default;
  /// Looks at the head, before the body is read; a reply ends the call.
  virtual std::optional<Reply> refuse(const Call& call) = 0;
  virtual Reply answer(const Call& call) = 0;
  /// For what is wrong with the request as HTTP.
  virtual Reply complain(int status, std::string_view why) = 0;
};

}  // namespace aftune::http
