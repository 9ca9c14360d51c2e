#include "chat/chat_template.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"

namespace aftune::chat {
namespace {

std::string refused(std::string_view jinja) {
  try {
    ChatTemplate::parse(jinja);
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::kUsage);
    return e.what();
  }
  return "accepted";
}

// What a model is asked before the last message, and what it then says, begin the conversation.
void expect_said(const ChatTemplate& chat, std::vector<Message> messages) {
  const Conversation all = chat.conversation(messages);
  ASSERT_EQ(all.said.size(), messages.size());
  const std::string last =
      all.text.substr(all.said.back().begin, all.said.back().end - all.said.back().begin);
  EXPECT_LE(all.text.size() - all.said.back().end, 1u);
  for (std::size_t i = 0; i < messages.size(); ++i) {
    EXPECT_LT(all.said[i].begin, all.said[i].end);
    EXPECT_LE(all.said[i].end, i + 1 < messages.size() ? all.said[i + 1].begin : all.text.size());
  }
  if (messages.size() < 2 || messages.back().role != "assistant") return;
  messages.pop_back();
  EXPECT_TRUE((chat.render(messages, true) + last).starts_with(all.text.substr(0, all.said.back().end)));
}

// What transformers made of them (scripts/make_chat_vectors.py).
TEST(ChatTemplate, RendersAsTransformers) {
  const Json all = parse_json(read_file(fs::path(AFTUNE_TESTS_DIR) / "vectors/chat/chat.json", 1 << 22));
  EXPECT_EQ(all.size(), 11u);
  std::size_t with_text = 0;
  for (const Json& vectors : all) {
    SCOPED_TRACE(vectors.at("name"));
    std::vector<ChatTemplate> chats;
    if (vectors.contains("template")) {
      ++with_text;
      chats.push_back(ChatTemplate::parse(vectors.at("template").get<std::string>()));
      chats.push_back(ChatTemplate::parse(vectors.at("template").get<std::string>() + "\n"));
    }
    if (!vectors.at("name").get<std::string>().starts_with("chatml"))
      chats.push_back(ChatTemplate::known(digest_from_hex(vectors.at("blake3").get<std::string>())));
    EXPECT_GE(vectors.at("cases").size(), 16u);
    for (const Json& v : vectors.at("cases")) {
      std::vector<Message> messages;
      for (const Json& m : v.at("messages"))
        messages.push_back({m.at("role").get<std::string>(), m.at("content").get<std::string>()});
      for (const ChatTemplate& chat : chats) {
        EXPECT_EQ(chat.render(messages, v.at("prompt").get<bool>()), v.at("text").get<std::string>());
        expect_said(chat, messages);
      }
    }
    for (const ChatTemplate& chat : chats) EXPECT_FALSE(chat.wants_specials());
  }
  EXPECT_EQ(with_text, 6u);
}

TEST(ChatTemplate, WithoutOneIsPlain) {
  const ChatTemplate plain = ChatTemplate::parse("");
  EXPECT_TRUE(plain.wants_specials());
  const std::vector<Message> messages{{"system", " Be brief.\n"}, {"user", "Hi"}};
  EXPECT_EQ(plain.render(messages, true), "system:  Be brief.\n\nuser: Hi\nassistant:");
  EXPECT_EQ(plain.render(messages, false), "system:  Be brief.\n\nuser: Hi\n");
}

TEST(ChatTemplate, AnyOtherIsRefused) {
  const std::string loop = "{% for message in messages %}";
  const std::string each =
      "{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}";
  const std::string prompt = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";
  const auto with_system = [&](const std::string& text) {
    return loop + "{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\\n" + text +
           "<|im_end|>\\n' }}{% endif %}" + each + prompt;
  };
  EXPECT_EQ(refused(loop + each + prompt), "accepted");
  EXPECT_EQ(refused(with_system("Be kind.")), "accepted");
  // Nearly the same, and not the same.
  const std::string known = "chat template: not one of the known ones of Llama 3, Qwen and ChatML";
  for (const std::string& other :
       {loop + each, loop + each + prompt + "x", loop + each + prompt + " ", std::string("{{ messages }}"),
        with_system("Be kind to ' + message['content'] + '"), with_system("{{ x }}"), with_system(""),
        with_system("\\x41"),
        loop + each + "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\nYes' }}{% endif %}",
        with_system("a' }}{% for x in range(10**9) %}{{ 'b")})
    EXPECT_EQ(refused(other).substr(0, known.size()), known) << other;
  EXPECT_EQ(refused("{{ strftime_now('%d %b %Y') }}"),
            "chat template: it writes today's date, and nobody could replay what it made");
}

TEST(ChatTemplate, RolesAreChecked) {
  const ChatTemplate plain = ChatTemplate::parse("");
  EXPECT_THROW(plain.render({}, true), Error);
  EXPECT_THROW(plain.render({{"tool", "4"}}, true), Error);
}

}  // namespace
}  // namespace aftune::chat
