#include "chat/chat_template.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/printable.h"
#include "hash/blake3.h"
#include "tokenizer/normalizer.h"
#include "tokenizer/utf8.h"

namespace aftune::chat {
namespace {

constexpr std::string_view kBos = "<|begin_of_text|>";  // what bos_token is in every Llama-3
constexpr std::string_view kQwenSystem =
    "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.";

// What Python's str.strip() takes off.
bool is_python_space(char32_t code) {
  return (code >= 0x09 && code <= 0x0d) || (code >= 0x1c && code <= 0x20) || code == 0x85 || code == 0xa0 ||
         code == 0x1680 || (code >= 0x2000 && code <= 0x200a) || code == 0x2028 || code == 0x2029 ||
         code == 0x202f || code == 0x205f || code == 0x3000;
}

std::string_view trimmed(std::string_view text) {
  for (std::size_t at = 0; at < text.size(); at = 0) {
    if (!is_python_space(tokenizer::next_code_point(text, at))) break;
    text.remove_prefix(at);
  }
  while (!text.empty()) {
    const std::size_t last = tokenizer::previous_code_point(text, text.size());
    std::size_t at = last;
    if (!is_python_space(tokenizer::next_code_point(text, at))) break;
    text = text.substr(0, last);
  }
  return text;
}

std::string_view without_newlines(std::string_view text, bool front, bool back) {
  while (front && text.starts_with('\n')) text.remove_prefix(1);
  while (back && text.ends_with('\n')) text.remove_suffix(1);
  return text;
}

// The parts of split(separator) at the two ends.
std::string_view before_first(std::string_view text, std::string_view separator) {
  return text.substr(0, text.find(separator));
}
std::string_view after_last(std::string_view text, std::string_view separator) {
  const std::size_t at = text.rfind(separator);
  return at == std::string_view::npos ? text : text.substr(at + separator.size());
}

// Appends a message of which a model says `said`.
void append(std::string_view before, std::string_view said, std::string_view after, Conversation& to) {
  to.text += before;
  to.said.push_back({to.text.size(), to.text.size() + said.size()});
  to.text += said;
  to.text += after;
}

void append_llama3(const Message& message, Conversation& to) {
  append(cat("<|start_header_id|>", message.role, "<|end_header_id|>\n\n"),
         cat(trimmed(message.content), "<|eot_id|>"), "", to);
}

void append_chatml(std::string_view role, std::string_view content, Conversation& to) {
  append(cat("<|im_start|>", role, '\n'), cat(content, "<|im_end|>"), "\n", to);
}

// One-line templates are written with and without blanks around an expression, with the strings of one joined
// or not, and with newlines as such or as \n: the same to Jinja.
std::string canonical(std::string_view jinja) {
  std::string text(jinja);
  for (const auto& [from, to] :
       {std::pair{"\\n", "\n"}, {"{{ ", "{{"}, {" }}", "}}"}, {"'+ ", "' + "}, {"' + '", ""}})
    text = tokenizer::replace_all(text, from, to);
  return text;
}

// The default system message of a one-line ChatML template, "" if it has none; nothing for another text.
std::optional<std::string> one_line_chatml(std::string_view jinja) {
  const std::string text = canonical(jinja);
  std::string_view rest = text;
  const auto take = [&](std::string_view part) {
    const bool there = rest.starts_with(part);
    if (there) rest.remove_prefix(part.size());
    return there;
  };
  std::string system;
  if (!take("{% for message in messages %}")) return std::nullopt;
  if (take("{% if loop.first and messages[0]['role'] != 'system' %}{{'<|im_start|>system\n")) {
    system = before_first(rest, "<|im_end|>");
    // Nothing in it may be more than text.
    if (system.empty() || system.find_first_of("'\\{}%#") != std::string::npos) return std::nullopt;
    rest.remove_prefix(system.size());
    if (!take("<|im_end|>\n'}}{% endif %}")) return std::nullopt;
  }
  const bool same =
      take(
          "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n'}}{% endfor %}"
          "{% if add_generation_prompt %}{{'<|im_start|>assistant\n'}}{% endif %}") &&
      rest.empty();
  return same ? std::optional(system) : std::nullopt;
}

}  // namespace

const ChatTemplate* ChatTemplate::find_known(const Digest& digest) {
  struct Known {
    const char* digest;
    ChatTemplate chat;
  };
  const auto made = [](Form form, std::string_view system = "", bool always_prompts = false) {
    ChatTemplate chat;
    chat.form_ = form;
    chat.system_ = system;
    chat.always_prompts_ = always_prompts;
    return chat;
  };
  static const Known kKnown[] = {
      // Llama 3 as first published, and with add_generation_prompt
      {"35e0e15de4dfd4f2bb55810c6349a96b55fe1517a32657b0b52f9deafc0b53ad", made(Form::kLlama3, "", true)},
      {"ab16d5a143b58283571c18dca5c81c895a83ac6440ce85f9d7ad7b02ff702b58", made(Form::kLlama3)},
      {"58c52110eb5475b88ce34ad65d107937e7cc2baaee08fe854f98b06579c16699", made(Form::kLlama31)},
      {"fec583fa8a02141eae850c0ffcb69ca6607f075d9eaf3a92e3203572e6393a54", made(Form::kChatMl, kQwenSystem)},
      // Qwen3 as first published, as corrected since, and Instruct 2507
      {"45fdf00a05e3daa5751bcd1de40a0a8280bde6328765dfe3828f9dac093b584b", made(Form::kQwen3)},
      {"72a1a5e64f5ff443c86b9332e82c85afd838c9e398b8e8f8bb38579d0e76d892", made(Form::kQwen3)},
      {"a3ad6cbfc9563934e60486dd1f48e296fff9608937281c9a9935ab8ed9645b80", made(Form::kChatMl)}};
  const std::string hex = to_hex(digest);
  for (const Known& known : kKnown)
    if (hex == known.digest) return &known.chat;
  return nullptr;
}

ChatTemplate ChatTemplate::parse(std::string_view jinja) {
  if (jinja.empty()) return {};
  // Jinja leaves it out too.
  if (jinja.ends_with('\n')) jinja.remove_suffix(1);
  if (const std::optional<std::string> system = one_line_chatml(jinja)) {
    ChatTemplate chat;
    chat.form_ = Form::kChatMl;
    chat.system_ = *system;
    return chat;
  }
  const Digest digest = hash::blake3(jinja);
  if (find_known(digest) == nullptr && jinja.find("strftime_now") != std::string_view::npos)
    fail(Fault::kUsage, "chat template: it writes today's date, and nobody could replay what it made");
  return known(digest);
}

ChatTemplate ChatTemplate::known(const Digest& digest) {
  if (const ChatTemplate* chat = find_known(digest)) return *chat;
  fail(Fault::kUsage, "chat template: not one of the known ones of Llama 3, Qwen and ChatML (its BLAKE3 is ",
       to_hex(digest), ')');
}

std::string ChatTemplate::render(const std::vector<Message>& messages, bool add_generation_prompt) const {
  std::string text = conversation(messages).text;
  if (add_generation_prompt || always_prompts_) text += generation_prompt();
  return text;
}

std::string_view ChatTemplate::generation_prompt() const {
  switch (form_) {
    case Form::kPlain:
      return "assistant:";
    case Form::kLlama3:
    case Form::kLlama31:
      return "<|start_header_id|>assistant<|end_header_id|>\n\n";
    case Form::kChatMl:
    case Form::kQwen3:
      break;
  }
  return "<|im_start|>assistant\n";
}

Conversation ChatTemplate::conversation(const std::vector<Message>& messages) const {
  if (messages.empty()) fail(Fault::kUsage, "messages: none");
  for (const Message& message : messages)
    if (message.role != "system" && message.role != "user" && message.role != "assistant")
      fail(Fault::kUsage, "messages: role \"", printable(message.role),
           "\" is not system, user or assistant");
  switch (form_) {
    case Form::kPlain:
      return plain(messages);
    case Form::kLlama3:
      return llama3(messages);
    case Form::kLlama31:
      return llama31(messages);
    case Form::kChatMl:
      return chatml(messages);
    case Form::kQwen3:
      break;
  }
  return qwen3(messages);
}

Conversation ChatTemplate::plain(const std::vector<Message>& messages) const {
  Conversation all;
  for (const Message& message : messages)
    append(cat(message.role, ':'), cat(' ', message.content, '\n'), "", all);
  return all;
}

Conversation ChatTemplate::llama3(const std::vector<Message>& messages) const {
  Conversation all{.text = std::string(kBos), .said = {}};
  for (const Message& message : messages) append_llama3(message, all);
  return all;
}

Conversation ChatTemplate::llama31(const std::vector<Message>& messages) const {
  const bool own = messages[0].role == "system";
  Conversation all{.text = std::string(kBos), .said = {}};
  append("<|start_header_id|>system<|end_header_id|>\n\n",
         cat("Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n",
             own ? trimmed(messages[0].content) : "", "<|eot_id|>"),
         "", all);
  if (!own) all.said.clear();  // no message of the conversation
  for (std::size_t i = own ? 1 : 0; i < messages.size(); ++i) append_llama3(messages[i], all);
  return all;
}

Conversation ChatTemplate::chatml(const std::vector<Message>& messages) const {
  Conversation all;
  if (!system_.empty() && messages[0].role != "system") append_chatml("system", system_, all);
  all.said.clear();  // no message of the conversation
  for (const Message& message : messages) append_chatml(message.role, message.content, all);
  return all;
}

Conversation ChatTemplate::qwen3(const std::vector<Message>& messages) const {
  std::size_t question = messages.size() - 1;  // the last one that is no answer of a tool
  for (std::size_t i = messages.size(); i-- > 0;) {
    const Message& m = messages[i];
    if (m.role != "user" ||
        (m.content.starts_with("<tool_response>") && m.content.ends_with("</tool_response>")))
      continue;
    question = i;
    break;
  }
  Conversation all;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const auto& [role, whole] = messages[i];
    std::string_view content = whole, thought;
    if (role == "assistant" && whole.find("</think>") != std::string::npos) {
      thought = without_newlines(before_first(whole, "</think>"), false, true);
      thought = without_newlines(after_last(thought, "<think>"), true, false);
      content = without_newlines(after_last(whole, "</think>"), true, false);
    }
    if (role == "assistant" && i > question && (i + 1 == messages.size() || !thought.empty()))
      append_chatml(role,
                    cat("<think>\n", without_newlines(thought, true, true), "\n</think>\n\n",
                        without_newlines(content, true, false)),
                    all);
    else
      append_chatml(role, content, all);
  }
  return all;
}

}  // namespace aftune::chat
