#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace aftune::chat {

struct Message {
  std::string role;  ///< system, user or assistant
  std::string content;
};

/// A list of {"role":...,"content":...}. The content is a string, or a list of {"type":"text","text":...},
/// which are joined by newlines. null is as good as absent, as clients take it. Which roles there are is for
/// the template to say. Throws Error{kUsage} with what is wrong: "content: missing".
std::vector<Message> read_messages(const Json& list);

/// A message of a training row, and whether the loss counts it: what an assistant says, unless its "weight"
/// is 0, as in OpenAI's fine-tuning files.
struct Turn {
  Message message;
  bool counts = false;
};
/// As above, of a message with "weight" too, 0 or 1, which only an assistant's may have.
std::vector<Turn> read_turns(const Json& list);

}  // namespace aftune::chat
