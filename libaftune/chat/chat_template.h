#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "chat/messages.h"

namespace aftune::chat {

/// Bytes [begin, end) of a text.
struct Span {
  std::size_t begin = 0, end = 0;
};

/// A conversation as one text.
struct Conversation {
  std::string text;
  /// Of each message what a model adds to a generation prompt when it says this: its content and, where the
  /// template has one, the token that ends a turn.
  std::vector<Span> said;
};

/// The text of a conversation, as transformers' apply_chat_template(tokenize=False) makes it. A template is a
/// program in a foreign file: it is never run, but known by its text, and what it does with messages that are
/// text alone is written here. These are known:
/// - Llama-3: trimmed contents between headers, BOS first; the publisher's variants with and without
///   add_generation_prompt. Llama-3.1: the same after a system message that has its two lines of dates,
///   of which the second is always "26 Jul 2024".
/// - ChatML in its one-line forms, with or without a default system message, which Qwen2 uses; Qwen2.5; Qwen3
///   of 2507 (Instruct).
/// - Qwen3: ChatML without a default system message; what an assistant thought is left out before the last
///   question, and written in its <think> block after it.
/// A model without a template has the plain form: "role: content\n" for each message, then "assistant:".
/// Text of special tokens in a content becomes these tokens, as it does in transformers.
class ChatTemplate {
 public:
  /// `jinja` is the template's text, "" if there is none. Throws Error{kUsage} for any other than those
  /// above, and says so of one that writes today's date: whoever replays it would get another prompt.
  static ChatTemplate parse(std::string_view jinja);
  /// The template whose text, without a newline at its end, has this BLAKE3. Throws likewise.
  static ChatTemplate known(const Digest& digest);

  /// Throws Error{kUsage} without a message, and for another role than the three.
  std::string render(const std::vector<Message>& messages, bool add_generation_prompt) const;
  /// The same without a generation prompt, even of a template that always writes one.
  Conversation conversation(const std::vector<Message>& messages) const;
  /// Whether the tokenizer's own special tokens go around the text: a template writes them itself.
  bool wants_specials() const { return form_ == Form::kPlain; }

 private:
  enum class Form { kPlain, kLlama3, kLlama31, kChatMl, kQwen3 };
  static const ChatTemplate* find_known(const Digest& digest);
  std::string_view generation_prompt() const;
  Conversation plain(const std::vector<Message>& messages) const;
  Conversation llama3(const std::vector<Message>& messages) const;
  Conversation llama31(const std::vector<Message>& messages) const;
  Conversation chatml(const std::vector<Message>& messages) const;
  Conversation qwen3(const std::vector<Message>& messages) const;

  Form form_ = Form::kPlain;
  std::string system_ = {};      // kChatMl: of a conversation without a system message; "" for none
  bool always_prompts_ = false;  // the generation prompt is written whether asked for or not
};

}  // namespace aftune::chat
