#include "chat/messages.h"

#include <initializer_list>

#include "base/error.h"
#include "base/printable.h"

namespace aftune::chat {
namespace {

const Json* find(const Json& object, std::string_view key) {
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

void require_fields(const Json& object, std::initializer_list<std::string_view> known) {
  if (!object.is_object()) fail(Fault::kUsage, "not a JSON object");
  for (const auto& [key, value] : object.items()) {
    bool is_known = false;
    for (const std::string_view each : known) is_known = is_known || key == each;
    if (!is_known) fail(Fault::kUsage, printable(key), ": not a known field");
  }
}

std::string content_of(const Json& content) {
  if (content.is_string()) return content.get<std::string>();
  if (!content.is_array() || content.empty()) fail(Fault::kUsage, "content: not a string or a list of parts");
  std::string text;
  for (const Json& part : content) {
    const Json* type = part.is_object() ? find(part, "type") : nullptr;
    if (type == nullptr || *type != "text") fail(Fault::kUsage, "content: a part that is not text");
    require_fields(part, {"type", "text"});
    const Json* words = find(part, "text");
    if (words == nullptr || !words->is_string()) fail(Fault::kUsage, "content: a part without text");
    if (&part != &content.front()) text += '\n';
    text += words->get_ref<const std::string&>();
  }
  return text;
}

// The fields of `json` are known to be known.
Message message_of(const Json& json) {
  const Json* role = find(json, "role");
  const Json* content = find(json, "content");
  if (role == nullptr || !role->is_string()) fail(Fault::kUsage, "role: not a string");
  if (content == nullptr) fail(Fault::kUsage, "content: missing");
  return {role->get<std::string>(), content_of(*content)};
}

Turn turn_of(const Json& json) {
  require_fields(json, {"role", "content", "weight"});
  Turn turn{.message = message_of(json)};
  turn.counts = turn.message.role == "assistant";
  if (const Json* weight = find(json, "weight")) {
    if (!turn.counts) fail(Fault::kUsage, "weight: of a message that is not the assistant's");
    if (*weight != 0 && *weight != 1) fail(Fault::kUsage, "weight: neither 0 nor 1");
    turn.counts = *weight == 1;
  }
  return turn;
}

template <class Element, class Read>
std::vector<Element> read_list(const Json& list, const Read& read) {
  if (!list.is_array()) fail(Fault::kUsage, "not a list");
  std::vector<Element> elements;
  for (const Json& each : list) elements.push_back(read(each));
  return elements;
}

}  // namespace

std::vector<Message> read_messages(const Json& list) {
  return read_list<Message>(list, [](const Json& json) {
    require_fields(json, {"role", "content"});
    return message_of(json);
  });
}

std::vector<Turn> read_turns(const Json& list) {
  return read_list<Turn>(list, turn_of);
}

}  // namespace aftune::chat
