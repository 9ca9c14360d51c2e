// Leaves of the log: {"grid":[layers, tied, layers per block, steps, steps per block], "tensors": n, "leaf":
// ...}.
#include "record/leaves.h"

#include "fuzz/json_input.h"

namespace aftune {
namespace {

// Of the sizes that a manifest can have (record/manifest.cpp).
record::Grid grid_of(const Json& list) {
  const auto at = [&](std::size_t i, std::int64_t most) {
    if (!list.is_array() || i >= list.size() || !list[i].is_number_unsigned()) return std::int64_t{1};
    return static_cast<std::int64_t>(1 + list[i].get<std::uint64_t>() % static_cast<std::uint64_t>(most));
  };
  return {.layers = static_cast<int>(at(0, 1 << 20)),
          .tied = at(1, 2) == 2,
          .layers_per_block = static_cast<int>(at(2, 1 << 20)),
          .steps = at(3, std::int64_t{1} << 40),
          .steps_per_block = at(4, std::int64_t{1} << 40)};
}

// Whatever a manifest states, its grid must be countable: all of these fit 63 bits.
void use(const record::Grid& grid) {
  const std::int64_t last = grid.step_blocks() - 1;
  AFTUNE_CHECK(grid.log_size() == grid.final_leaf() + 1 && grid.cells() >= grid.blocks());
  AFTUNE_CHECK(grid.step_begin(last) < grid.step_end(last) && grid.step_end(last) == grid.steps);
  AFTUNE_CHECK(grid.step_of_leaf(grid.step_leaf(grid.steps - 1)) == grid.steps - 1);
  AFTUNE_CHECK(grid.state_of_leaf(grid.state_leaf(last)) == last);
  AFTUNE_CHECK(!grid.step_of_leaf(grid.state_leaf(last + 1)));
  const int block = grid.block_of_unit(grid.units() - 1);
  AFTUNE_CHECK(block < grid.blocks() && grid.units_of_block(block).back() == grid.units() - 1);
  AFTUNE_CHECK(grid.units_of_stage(grid.stages() / 2).last <= grid.units());
}

// What is taken is the one text of its content.
template <class Parse>
void inverse(const std::string& leaf, Parse&& parse) {
  fuzz::takes([&] { AFTUNE_CHECK(to_leaf(parse(leaf)) == leaf); });
}

}  // namespace
}  // namespace aftune

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, unsigned long size) {
  using namespace aftune;
  const Json input = fuzz::json_of(fuzz::text_of(data, size));
  const bool framed = input.is_object() && input.contains("leaf");
  const std::string leaf =
      framed ? fuzz::canonical_or_same(json_text(input["leaf"])) : std::string(fuzz::text_of(data, size));
  const record::Grid grid = grid_of(framed && input.contains("grid") ? input["grid"] : Json());
  const bool counted = framed && input.contains("tensors") && input["tensors"].is_number_unsigned();
  const auto tensors = counted ? input["tensors"].get<std::size_t>() : std::size_t{0};
  use(grid);
  inverse(leaf, [](std::string_view text) {
    record::Manifest manifest = record::parse_manifest(text);
    use(manifest.grid);
    return manifest;
  });
  inverse(leaf, [&](std::string_view text) { return record::parse_step(text, grid); });
  inverse(leaf, [&](std::string_view text) { return record::parse_state(text, grid); });
  inverse(leaf, [&](std::string_view text) { return record::parse_final(text, grid, tensors); });
  return 0;
}
