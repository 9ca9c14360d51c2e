#include "serve/chat_template.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/printable.h"
#include "hash/blake3.h"
#include "tokenizer/normalizer.h"
#include "tokenizer/utf8.h"

namespace aftune::serve {
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

std::string llama3_message(const Message& message) {
  return cat("<|start_header_id|>", message.role, "<|end_header_id|>\n\n", trimmed(message.content),
             "<|eot_id|>");
}

std::string chatml_message(std::string_view role, std::string_view content) {
  return cat("<|im_start|>", role, '\n', content, "<|im_end|>\n");
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
  if (messages.empty()) fail(Fault::kUsage, "messages: none");
  for (const Message& message : messages)
    if (message.role != "system" && message.role != "user" && message.role != "assistant")
      fail(Fault::kUsage, "messages: role \"", printable(message.role),
           "\" is not system, user or assistant");
  const bool prompts = add_generation_prompt || always_prompts_;
  switch (form_) {
    case Form::kPlain:
      return plain(messages) + (prompts ? "assistant:" : "");
    case Form::kLlama3:
      return llama3(messages) + (prompts ? "<|start_header_id|>assistant<|end_header_id|>\n\n" : "");
    case Form::kLlama31:
      return llama31(messages) + (prompts ? "<|start_header_id|>assistant<|end_header_id|>\n\n" : "");
    case Form::kChatMl:
      return chatml(messages) + (prompts ? "<|im_start|>assistant\n" : "");
    case Form::kQwen3:
      break;
  }
  return qwen3(messages) + (prompts ? "<|im_start|>assistant\n" : "");
}

std::string ChatTemplate::plain(const std::vector<Message>& messages) const {
  std::string text;
  for (const Message& message : messages) text += message.role + ": " + message.content + '\n';
  return text;
}

std::string ChatTemplate::llama3(const std::vector<Message>& messages) const {
  std::string text(kBos);
  for (const Message& message : messages) text += llama3_message(message);
  return text;
}

std::string ChatTemplate::llama31(const std::vector<Message>& messages) const {
  const bool own = messages[0].role == "system";
  std::string text =
      cat(kBos,
          "<|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December 2023\n"
          "Today Date: 26 Jul 2024\n\n",
          own ? trimmed(messages[0].content) : "", "<|eot_id|>");
  for (std::size_t i = own ? 1 : 0; i < messages.size(); ++i) text += llama3_message(messages[i]);
  return text;
}

std::string ChatTemplate::chatml(const std::vector<Message>& messages) const {
  std::string text;
  if (!system_.empty() && messages[0].role != "system") text = chatml_message("system", system_);
  for (const Message& message : messages) text += chatml_message(message.role, message.content);
  return text;
}

std::string ChatTemplate::qwen3(const std::vector<Message>& messages) const {
  std::size_t question = messages.size() - 1;  // the last one that is no answer of a tool
  for (std::size_t i = messages.size(); i-- > 0;) {
    const Message& m = messages[i];
    if (m.role != "user" ||
        (m.content.starts_with("<tool_response>") && m.content.ends_with("</tool_response>")))
      continue;
    question = i;
    break;
  }
  std::string text;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const auto& [role, whole] = messages[i];
    std::string_view content = whole, thought;
    if (role == "assistant" && whole.find("</think>") != std::string::npos) {
      thought = without_newlines(before_first(whole, "</think>"), false, true);
      thought = without_newlines(after_last(thought, "<think>"), true, false);
      content = without_newlines(after_last(whole, "</think>"), true, false);
    }
    if (role == "assistant" && i > question && (i + 1 == messages.size() || !thought.empty()))
      text += chatml_message(role, cat("<think>\n", without_newlines(thought, true, true), "\n</think>\n\n",
                                       without_newlines(content, true, false)));
    else
      text += chatml_message(role, content);
  }
  return text;
}

}  // namespace aftune::serve
