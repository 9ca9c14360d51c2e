#include "audit/block_state.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <exception>
#include <utility>
#include <vector>

#include "audit/rejection.h"
#include "base/error.h"
#include "hash/blake3.h"
#include "optim/optimizer.h"

namespace aftune::audit {
namespace {

// Of a tensor that is read: a few chunks of a stored one, and few enough that every thread gets its part.
constexpr std::int64_t kPieceElements = std::int64_t{1} << 20;

// Calls visit(spec, buffer) for each parameter and then its moments.
template <class Visit>
void each_tensor(const LogView& log, model::LayerBlock& block, const Visit& visit) {
  const std::vector<std::string> names = optim::moment_names(log.manifest().recipe);
  for (model::Parameter& parameter : block.parameters()) {
    visit(parameter.spec, parameter.value);
    AFTUNE_CHECK(parameter.moments.size() == names.size());
    for (std::size_t m = 0; m < names.size(); ++m)
      visit(TensorSpec{parameter.spec.name + "." + names[m], DType::kF32, parameter.spec.shape},
            parameter.moments[m]);
  }
}

Digest committed(const LogView& log, const model::LayerBlock& block, std::int64_t s) {
  return log.state(s).blocks[static_cast<std::size_t>(block.index())];
}

std::string block_line(const LogView& log, const model::LayerBlock& block, std::int64_t s) {
  return cat(log.state_line(s), " block ", block.index());
}

bool all_zero(const Buffer& buffer) {
  for (std::int64_t i = 0; i < buffer.size(); ++i)
    if (std::bit_cast<std::uint32_t>(buffer[i]) != 0) return false;
  return true;
}

bool same_bytes(const Buffer& a, const Buffer& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.bytes().size()) == 0;
}

}  // namespace

std::string index_text(const Shape& shape, std::int64_t element) {
  std::string text;
  for (std::size_t d = shape.size(); d-- > 0; element /= shape[d])
    text.insert(0, cat(d == 0 ? "" : ",", element % shape[d]));
  return "[" + text + "]";
}

std::string expected_found(const Digest& expected, const Digest& found) {
  return cat("expected ", to_hex(expected), ", found ", to_hex(found));
}

void load_state(const LogView& log, TensorSource& source, model::LayerBlock& block, std::int64_t s,
                ThreadPool& pool) {
  struct Piece {
    TensorSpec spec;
    Buffer* tensor;
    std::int64_t first;
  };
  std::vector<Piece> pieces;
  each_tensor(log, block, [&](const TensorSpec& spec, Buffer& buffer) {
    for (std::int64_t first = 0; first < buffer.size(); first += kPieceElements)
      pieces.push_back({spec, &buffer, first});
  });
  // Which of several reasons is given must not depend on which thread comes first.
  std::vector<std::exception_ptr> refusals(pieces.size());
  pool.run(std::ssize(pieces), [&](std::int64_t i) {
    const auto at = static_cast<std::size_t>(i);
    const auto& [spec, tensor, first] = pieces[at];
    try {
      const std::int64_t count = std::min(kPieceElements, tensor->size() - first);
      source.read_state(s, spec, first,
                        tensor->mutable_bytes().subspan(static_cast<std::size_t>(first) * sizeof(float),
                                                        static_cast<std::size_t>(count) * sizeof(float)));
    } catch (...) {
      refusals[at] = std::current_exception();
    }
  });
  for (const std::exception_ptr& refusal : refusals)
    if (refusal) std::rethrow_exception(refusal);
  const Digest expected = committed(log, block, s);
  const Digest found = log.published_block(s, block.index(), block.state());
  if (found != expected)
    throw Rejection(Code::kEvidence, source.state_name(s, ""),
                    cat("block ", block.index(), ": ", expected_found(expected, found)));
}

void check_initialised(const LogView& log, const model::EngineOptions& options, model::LayerBlock& block,
                       Findings& findings) {
  if (!log.manifest().drawn()) return;
  model::init_parameters(block, options);
  const Digest expected = record::block_digest(block.state());
  const Digest found = committed(log, block, 0);
  if (found != expected)
    throw Rejection(Check::kStateBefore, Code::kStateBefore, block_line(log, block, 0),
                    cat("drawn from the seed: ", expected_found(expected, found)));
  findings.held(Check::kStateBefore);
}

void check_widened(const LogView& log, model::LayerBlock& block, Findings& findings) {
  const record::TensorList* const initial = log.manifest().initial();
  if (initial == nullptr || initial->dtype == DType::kF32) return;
  const record::TensorList& base = *initial;
  const BlockLists lists(log, block.index());
  const auto& parameters = block.parameters();
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const model::Parameter& parameter = parameters[i];
    const Bytes narrow_bytes = narrow(base.dtype, parameter.value);
    const Digest found = hash::blake3(narrow_bytes);
    const Digest& expected = base.digests[lists.positions()[i]];
    const auto refuse = [&](const std::string& detail) {
      throw Rejection(Check::kStateBefore, Code::kStateBefore,
                      cat(block_line(log, block, 0), " ", parameter.spec.name), detail);
    };
    if (found != expected) refuse("base tensor: " + expected_found(expected, found));
    if (!same_bytes(widen(base.dtype, narrow_bytes), parameter.value))
      refuse("state 0 is not the exact widening of the base tensor");
    for (const Buffer& moment : parameter.moments)
      if (!all_zero(moment)) refuse("a moment of state 0 is not zero");
  }
  findings.held(Check::kStateBefore);
}

void check_rounded(const LogView& log, model::LayerBlock& block, Findings& findings) {
  const record::Final final = log.final();
  const record::TensorList& exported = final.exported;
  if (exported.dtype == DType::kF32) return;
  const BlockLists lists(log, block.index());
  const auto& parameters = block.parameters();
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const Digest expected = log.published(log.exported_salt(final, block.index(), parameters[i].spec.name),
                                          hash::blake3(narrow(exported.dtype, parameters[i].value)));
    const Digest& found = exported.digests[lists.positions()[i]];
    if (found != expected)
      throw Rejection(Check::kExport, Code::kExport,
                      cat(LogView::line(log.grid().final_leaf()), " ", parameters[i].spec.name),
                      cat("the last state rounded: ", expected_found(expected, found)));
  }
  findings.held(Check::kExport);
}

std::optional<std::string> first_difference(const Shape& shape, std::span<const float> replayed,
                                            std::span<const float> recorded, std::int64_t first_element) {
  AFTUNE_CHECK(replayed.size() == recorded.size());
  for (std::size_t i = 0; i < replayed.size(); ++i) {
    if (std::bit_cast<std::uint32_t>(replayed[i]) == std::bit_cast<std::uint32_t>(recorded[i])) continue;
    return cat("element ", index_text(shape, first_element + static_cast<std::int64_t>(i)), ": replayed ",
               replayed[i], " (", float_hex(replayed[i]), "), recorded ", recorded[i], " (",
               float_hex(recorded[i]), ")");
  }
  return std::nullopt;
}

std::optional<std::string> state_difference(const LogView& log, TensorSource& source,
                                            model::LayerBlock& block, std::int64_t s) {
  std::optional<std::string> difference;
  try {
    if (!source.has_state(s)) return std::nullopt;
    each_tensor(log, block, [&](const TensorSpec& spec, const Buffer& buffer) {
      if (difference) return;
      Buffer recorded(buffer.size());
      source.read_state(s, spec, 0, recorded.mutable_bytes());
      const auto count = static_cast<std::size_t>(buffer.size());
      const auto found = first_difference(spec.shape, {buffer.data(), count}, {recorded.data(), count});
      if (found) difference = cat(spec.name, " ", *found);
    });
  } catch (const Rejection&) {
    return std::nullopt;  // reported where the segment itself is checked
  }
  return difference;
}

}  // namespace aftune::audit
