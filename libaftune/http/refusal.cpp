#include "http/refusal.h"

#include "base/printable.h"

namespace aftune::http {
namespace {

const char* type_of(int status) {
  if (status == 429) return "rate_limit_error";
  return status >= 500 ? "server_error" : "invalid_request_error";
}

Json or_null(const std::string& text) {
  return text.empty() ? Json(nullptr) : Json(text);
}

}  // namespace

Refusal::Refusal(int status, std::string message, std::string code, std::string param)
    : Error(Fault::kUsage, visible(message)),
      status_(status),
      code_(std::move(code)),
      param_(std::move(param)) {}

Json Refusal::to_json() const {
  return {{"error",
           {{"message", what()},
            {"type", type_of(status_)},
            {"param", or_null(param_)},
            {"code", or_null(code_)}}}};
}

Reply Refusal::to_reply() const {
  Reply reply{.status = status_, .body = json_text(to_json())};
  if (status_ == 401) reply.headers.emplace_back("WWW-Authenticate", "Bearer");
  if (status_ == 429 || status_ == 503) reply.headers.emplace_back("Retry-After", "1");
  return reply;
}

}  // namespace aftune::http
