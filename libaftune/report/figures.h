#pragma once

#include <string>

#include "audit/verdict.h"
#include "report/run_log.h"

namespace aftune::report {

/// How wide a figure is drawn, in CSS pixels. The page holds both and shows the one that fits the window:
/// text in an SVG shrinks with it, so one drawing cannot serve both.
enum class Width { kNarrow, kWide };

/// Shapes of the cell map, to be in the page once and before any map.
std::string cell_symbols();
/// SVG: layer blocks by step blocks, each cell by what became of it (shape, colour and title). A grid too
/// large to draw is drawn in groups of neighbouring cells, each as the worst in it.
std::string cell_map(const audit::Verdict& verdict, Width width);
/// True if cell_map() of that width would draw groups.
bool is_grouped(const record::Grid& grid, Width width);
/// "embedding", "layers 4-5", "head"; with tied embeddings block 0 is both ends.
std::string block_name(const record::Grid& grid, int block);

/// SVG: the training loss over steps, and evaluation losses as a second line. Long runs are drawn as the
/// least and largest of neighbouring steps, so that no peak is lost; what is not finite is left out.
std::string loss_chart(const RunLog& run, Width width);

}  // namespace aftune::report
