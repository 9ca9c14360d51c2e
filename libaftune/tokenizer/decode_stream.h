#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "tokenizer/decoder.h"

namespace aftune::tokenizer {

/// Decoder::decode of tokens that come one by one: settled() + open() is what it gives for those so far, at a
/// cost that does not grow with them. The decoders of published tokenizers are followed step by step; one
/// that looks at all tokens at once in another way (a Replace after a Fuse, say) is run anew each time, and
/// settles nothing.
class DecodeStream {
 public:
  /// Keeps a reference to the decoder.
  explicit DecodeStream(const Decoder& decoder);
  void add(std::string token);
  /// Whole code points that no later token can change. Only grows.
  const std::string& settled() const { return settled_; }
  /// What follows it if no other token comes.
  std::string open() const;

 private:
  using Step = Decoder::Step;
  using Kind = Decoder::Step::Kind;
  // A step that hands on tokens; what it holds back is of a run of byte tokens (kByteFallback).
  struct Stage {
    const Step* step;
    std::vector<std::string> held = {};
    bool begun = false;  // has been given a token: Metaspace treats the first one differently
  };
  // Where the tokens become one text.
  struct Joint {
    bool spaces = false;           // a space between two tokens
    bool bytes = false;            // tokens are in the byte alphabet, and the text is repaired
    std::string stripped = {};     // what the start of the text may lose,
    std::int64_t strip_count = 0;  // so many times at most
    std::string raw = {};          // the front of a UTF-8 sequence
    std::string waiting = {};      // text whose start may have to go
    bool begun = false;
  };

  bool plan();
  static void pass(Stage& stage, std::string token, std::vector<std::string>& out);
  void push(std::vector<Stage>& stages, std::size_t first, std::string token, Joint& joint,
            std::string& out) const;
  static void join(Joint& joint, const std::string& token, std::string& out);
  static bool strip_start(Joint& joint);

  const Decoder& decoder_;
  bool followed_ = false;
  std::vector<Stage> stages_;
  Joint joint_;
  std::string settled_;
  std::vector<std::string> tokens_;  // all of them, if the decoder is not followed
};

}  // namespace aftune::tokenizer
