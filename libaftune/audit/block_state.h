#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "audit/block_lists.h"
#include "audit/findings.h"
#include "audit/log_view.h"
#include "audit/source.h"
#include "model/layer_block.h"

namespace aftune::audit {

/// Fills a block from the snapshot of state s, on the pool's threads, and compares it with that state's leaf.
/// Throws Rejection: `evidence` if it differs.
void load_state(const LogView& log, TensorSource& source, model::LayerBlock& block, std::int64_t s,
                ThreadPool& pool);

/// Before load_state of state 0, which overwrites what this computes: with --init, state 0 must follow from
/// the recipe's seed. Throws Rejection `state-before`.
void check_initialised(const LogView& log, const model::EngineOptions& options, model::LayerBlock& block,
                       Findings& findings);
/// A block at state 0: with a 16-bit base, its parameters must be the exact widening of the base tensors and
/// its moments zero. Throws Rejection `state-before`. (An f32 base is settled by check_base_digests.)
void check_widened(const LogView& log, model::LayerBlock& block, Findings& findings);
/// A block at the last state: with a 16-bit export, `final`'s tensors must be its parameters rounded to
/// nearest even. Throws Rejection `export`.
void check_rounded(const LogView& log, model::LayerBlock& block, Findings& findings);

/// "[1,2]": an element of a tensor of this shape.
std::string index_text(const Shape& shape, std::int64_t element);
/// Where two lists of floats first differ in a bit: "element [1,2]: replayed 0.5 (3f000000), recorded ...".
std::optional<std::string> first_difference(const Shape& shape, std::span<const float> replayed,
                                            std::span<const float> recorded, std::int64_t first_element = 0);
/// Where a block differs from the snapshot of state s; nullopt if there is none or it cannot be read.
std::optional<std::string> state_difference(const LogView& log, TensorSource& source,
                                            model::LayerBlock& block, std::int64_t s);

/// "expected X, found Y"
std::string expected_found(const Digest& expected, const Digest& found);

}  // namespace aftune::audit
