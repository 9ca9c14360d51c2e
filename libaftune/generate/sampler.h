#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

namespace aftune::generate {

/// How the next token is drawn. The neutral value of each leaves the model's distribution as it is.
struct Sampling {
  double temperature = 1;  ///< 0 or 1e-6 to 1e6; 0 takes the most likely token, of equals the lowest id
  std::int64_t top_k = 0;  ///< >= 0; 0 is no bound
  double top_p = 1;        ///< in (0, 1]
  double min_p = 0;        ///< in [0, 1], relative to the most likely token
  double repetition_penalty = 1;  ///< 1e-6 to 1e6, on every id of the prompt and of the answer
  double frequency_penalty = 0;   ///< times how often the id is in the answer
  double presence_penalty = 0;    ///< once, if the id is in the answer
  std::map<std::int32_t, double> logit_bias = {};
  std::uint64_t seed = 0;

  friend bool operator==(const Sampling&, const Sampling&) = default;
};

/// Throws Error{kUsage} that names the setting, if one is out of its range, or a bias is for no
/// id of the vocabulary.
void check(const Sampling& sampling, std::int64_t vocab);

/// Draws answer token number `position` (from 0) of choice `choice` of a request: a pure function of its
/// arguments (docs/numerics.md, "Inference and sampling"). Takes the ids of prompt and answer as they come,
/// so that a token costs no walk over them.
class Sampler {
 public:
  Sampler(Sampling sampling, std::int64_t choice, std::span<const std::int32_t> prompt);
  /// `logits` are the raw ones, [vocab]. Throws Error{kUsage} if one is not finite.
  std::int32_t next(std::span<const float> logits);
  /// The same token, where it is known from elsewhere.
  void take(std::int32_t token);

 private:
  struct Candidate {
    double z;
    std::int32_t id;
  };
  void shift(std::span<const float> logits);
  std::int32_t draw();
  static bool likelier(const Candidate& a, const Candidate& b);
  void sort_likeliest_first();

  Sampling sampling_;
  std::int64_t choice_, position_ = 0;
  std::map<std::int32_t, std::int64_t>
      seen_;  ///< of each id of the prompt and the answer, times in the answer
  std::vector<double> z_;
  std::vector<Candidate> candidates_, sorted_;
};

/// log p of every id of interest under the raw logits, f32: (z - max) - log(rowsum(exp(z - max))).
struct TokenLogprob {
  std::int32_t id;
  float logprob;
};
/// Of `token` first, then of the `top` most likely ids, likeliest first and of equals the lowest id.
std::vector<TokenLogprob> logprobs(std::span<const float> logits, std::int32_t token, int top);

}  // namespace aftune::generate
