// Drives chat templates from scripts: chat_cli. On stdin a line is a template as a JSON string, or
// {"messages":[...],"prompt":true|false} for the last template; the answer is a JSON string: the text, or
// "error: ...".
#include <cstdio>
#include <iostream>
#include <string>

#include "base/error.h"
#include "base/json.h"
#include "chat/chat_template.h"

namespace aftune {
namespace {

std::string answer(chat::ChatTemplate& chat, const Json& line) {
  if (line.is_string()) {
    chat = chat::ChatTemplate::parse(line.get<std::string>());
    return "";
  }
  std::vector<chat::Message> messages;
  for (const Json& message : line.at("messages"))
    messages.push_back({message.at("role").get<std::string>(), message.at("content").get<std::string>()});
  return chat.render(messages, line.at("prompt").get<bool>());
}

int run() {
  auto chat = chat::ChatTemplate::parse("");
  for (std::string line; std::getline(std::cin, line);) {
    std::string text;
    try {
      text = answer(chat, parse_json(line));
    } catch (const Error& e) {
      text = cat("error: ", e.what());
    }
    std::cout << Json(text).dump() << '\n';
  }
  return std::cout.flush() ? 0 : 2;
}

}  // namespace
}  // namespace aftune

int main() {
  try {
    return aftune::run();
  } catch (const std::exception& e) {
    std::fprintf(stderr, "chat_cli: error: %s\n", e.what());
    return 2;
  }
}
