#pragma once

#include <string>

#include "base/error.h"
#include "base/json.h"
#include "http/call.h"

namespace aftune::http {

/// A request that gets no answer, in the words of OpenAI's API.
class Refusal : public Error {
 public:
  Refusal(int status, std::string message, std::string code = "", std::string param = "");
  int status() const { return status_; }
  /// {"error":{"message","type","param","code"}}
  Json to_json() const;
  Reply to_reply() const;

 private:
  int status_;
  std::string code_, param_;
};

}  // namespace aftune::http
