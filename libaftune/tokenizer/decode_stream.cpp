#include "tokenizer/decode_stream.h"

#include <utility>

#include "tokenizer/byte_alphabet.h"
#include "tokenizer/utf8.h"

namespace aftune::tokenizer {

DecodeStream::DecodeStream(const Decoder& decoder) : decoder_(decoder) {
  followed_ = plan();
}

// Steps before the tokens become one text are stages; after it only a Strip of the start can be followed.
bool DecodeStream::plan() {
  const std::vector<Step>& steps = decoder_.steps_;
  joint_.spaces = steps.empty();
  std::size_t i = 0;
  for (; i < steps.size() && steps[i].kind != Kind::kFuse && steps[i].kind != Kind::kByteLevel; ++i)
    stages_.push_back({&steps[i]});
  if (i == steps.size()) return true;
  joint_.bytes = steps[i].kind == Kind::kByteLevel;
  if (++i == steps.size()) return true;
  if (i + 1 < steps.size() || steps[i].kind != Kind::kStrip || steps[i].stop != 0) return false;
  joint_.stripped = steps[i].pattern;
  joint_.strip_count = steps[i].start;
  return true;
}

void DecodeStream::add(std::string token) {
  if (followed_)
    push(stages_, 0, std::move(token), joint_, settled_);
  else
    tokens_.push_back(std::move(token));
}

// Gives a token to the stages from `first` on, and what comes out of them to the text.
void DecodeStream::push(std::vector<Stage>& stages, std::size_t first, std::string token, Joint& joint,
                        std::string& out) const {
  std::vector<std::string> tokens{std::move(token)};
  for (std::size_t i = first; i < stages.size(); ++i) {
    std::vector<std::string> passed;
    for (std::string& each : tokens) pass(stages[i], std::move(each), passed);
    tokens = std::move(passed);
  }
  for (const std::string& each : tokens) join(joint, each, out);
}

void DecodeStream::pass(Stage& stage, std::string token, std::vector<std::string>& out) {
  const bool first = !std::exchange(stage.begun, true);
  std::vector<std::string> tokens{std::move(token)};
  if (stage.step->kind == Kind::kByteFallback) {
    if (Decoder::is_fallback_byte(tokens[0])) {
      stage.held.push_back(std::move(tokens[0]));
      return;
    }
    tokens.insert(tokens.begin(), std::make_move_iterator(stage.held.begin()),
                  std::make_move_iterator(stage.held.end()));
    stage.held.clear();
  } else if (stage.step->kind == Kind::kMetaspace && !first) {
    // The step takes the first of what it is given for the first of all.
    tokens.insert(tokens.begin(), std::string());
    Decoder::apply(*stage.step, tokens);
    tokens.erase(tokens.begin());
    out.push_back(std::move(tokens[0]));
    return;
  }
  Decoder::apply(*stage.step, tokens);
  out.insert(out.end(), std::make_move_iterator(tokens.begin()), std::make_move_iterator(tokens.end()));
}

void DecodeStream::join(Joint& joint, const std::string& token, std::string& out) {
  if (joint.spaces && std::exchange(joint.begun, true)) joint.waiting += ' ';
  if (joint.bytes) {
    // The start of the text is looked at when it is repaired.
    std::string bytes = std::exchange(joint.raw, {}) + bytes_of_alphabet(token).value_or(token);
    const std::size_t unclear = open_end(bytes);
    joint.raw = bytes.substr(bytes.size() - unclear);
    bytes.resize(bytes.size() - unclear);
    joint.waiting += replace_invalid(bytes);
  } else {
    joint.waiting += token;
  }
  if (strip_start(joint)) out += std::exchange(joint.waiting, {});
}

// False while more of the start may have to go.
bool DecodeStream::strip_start(Joint& joint) {
  while (joint.strip_count > 0) {
    if (joint.waiting.starts_with(joint.stripped)) {
      joint.waiting.erase(0, joint.stripped.size());
      --joint.strip_count;
    } else if (joint.stripped.starts_with(joint.waiting)) {
      return false;
    } else {
      joint.strip_count = 0;
    }
  }
  return true;
}

std::string DecodeStream::open() const {
  if (!followed_) return decoder_.decode(tokens_);
  std::vector<Stage> stages = stages_;
  Joint joint = joint_;
  std::string out;
  for (std::size_t i = 0; i < stages.size(); ++i) {
    std::vector<std::string> rest = std::exchange(stages[i].held, {});
    if (rest.empty()) continue;
    Decoder::apply(*stages[i].step, rest);
    for (std::string& token : rest) push(stages, i + 1, std::move(token), joint, out);
  }
  if (!joint.raw.empty()) joint.waiting += replace_invalid(std::exchange(joint.raw, {}));
  strip_start(joint);
  return out + joint.waiting;
}

}  // namespace aftune::tokenizer
