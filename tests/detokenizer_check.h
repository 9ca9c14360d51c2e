#pragma once

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "generate/detokenizer.h"

namespace aftune::testing_support {

using Ids = std::vector<std::int32_t>;

/// The definition of an answer's text, as it is written.
inline std::string defined_text(const tokenizer::Tokenizer& tokenizer, const Ids& prompt, const Ids& answer) {
  Ids context(prompt.end() - std::min<std::ptrdiff_t>(std::ssize(prompt), 8), prompt.end());
  const std::string before = tokenizer.decode(context, true);
  context.insert(context.end(), answer.begin(), answer.end());
  const std::string all = tokenizer.decode(context, true);
  std::size_t shared = 0;
  for (std::size_t at = 0; at <= std::min(all.size(), before.size()); ++at) {
    const auto starts = [&](const std::string& text) {
      return at == text.size() || (static_cast<unsigned char>(text[at]) & 0xc0) != 0x80;
    };
    if (starts(all) && starts(before)) shared = at;
    if (at == all.size() || at == before.size() || all[at] != before[at]) break;
  }
  return all.substr(shared);
}

/// Compares every prefix of an answer with the definition, and what was settled with what came after.
/// `settled_bytes` counts what was settled before the end.
inline void expect_defined_text(const tokenizer::Tokenizer& tokenizer, const Ids& prompt, const Ids& answer,
                                std::size_t& settled_bytes) {
  generate::Detokenizer detokenizer(tokenizer, prompt);
  ASSERT_EQ(detokenizer.text(), "");
  std::string settled;
  for (std::size_t count = 1; count <= answer.size(); ++count) {
    detokenizer.add(answer[count - 1]);
    const std::string text =
        defined_text(tokenizer, prompt, Ids(answer.begin(), answer.begin() + std::ptrdiff_t(count)));
    ASSERT_EQ(detokenizer.text(), text) << "after " << count << " ids";
    ASSERT_TRUE(text.starts_with(settled)) << settled << " was settled before " << text;
    ASSERT_TRUE(is_utf8(detokenizer.settled()));
    ASSERT_TRUE(std::string(detokenizer.settled()).starts_with(settled));
    settled = std::string(detokenizer.settled());
  }
  ASSERT_EQ(std::string(detokenizer.settled()) + detokenizer.open(), detokenizer.text());
  settled_bytes += settled.size();
}

/// Random ids, of which many are of one byte, so that characters come in parts.
inline Ids random_ids(const tokenizer::Tokenizer& tokenizer, std::mt19937& random, std::size_t count) {
  static const std::string characters = "é日🙂a \xcc\x81\xf0\x9f\xa4";
  Ids ids;
  while (ids.size() < count) {
    const Ids bytes = tokenizer.encode(characters, false);
    if (random() % 3 == 0 && !bytes.empty()) {
      const std::size_t from = random() % bytes.size(), length = 1 + random() % 4;
      for (std::size_t i = from; i < std::min(from + length, bytes.size()); ++i) ids.push_back(bytes[i]);
    } else {
      ids.push_back(static_cast<std::int32_t>(random() % static_cast<unsigned>(tokenizer.size() + 2)));
    }
  }
  ids.resize(count);
  return ids;
}

inline void expect_defined_texts(const tokenizer::Tokenizer& tokenizer, unsigned seed, int rounds,
                                 std::size_t& settled_bytes) {
  std::mt19937 random(seed);
  for (int i = 0; i < rounds; ++i) {
    const Ids prompt = random_ids(tokenizer, random, 1 + random() % 12);
    const Ids answer = random_ids(tokenizer, random, random() % 40);
    SCOPED_TRACE(testing::Message() << "seed " << seed << ", round " << i);
    expect_defined_text(tokenizer, prompt, answer, settled_bytes);
    if (testing::Test::HasFatalFailure()) return;
  }
}

}  // namespace aftune::testing_support
