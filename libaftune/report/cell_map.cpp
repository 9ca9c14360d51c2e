#include <algorithm>
#include <map>

#include "base/error.h"
#include "report/figures.h"
#include "report/markup.h"

namespace aftune::report {
namespace {

using audit::CellResult;
using audit::Verdict;
using record::Grid;

struct Frame {
  std::int64_t most_columns;
  std::int64_t most_rows;
  int width;
  int labels;  ///< width of the row labels
};

Frame frame_of(Width width) {
  return width == Width::kNarrow ? Frame{.most_columns = 16, .most_rows = 24, .width = 300, .labels = 84}
                                 : Frame{.most_columns = 64, .most_rows = 40, .width = 1060, .labels = 100};
}

/// `total` items in at most `most` groups of neighbours, of sizes that differ by at most one.
struct Groups {
  Groups(std::int64_t items, std::int64_t most) : total(items), count(std::min(items, most)) {}
  std::int64_t begin(std::int64_t group) const { return group * total / count; }
  std::int64_t of(std::int64_t item) const { return ((item + 1) * count - 1) / total; }
  std::int64_t total;
  std::int64_t count;
};

struct Counts {
  std::int64_t checked = 0, rejected = 0, unanswered = 0;
};

/// Groups of cells and where they are drawn.
class Map {
 public:
  Map(const Verdict& verdict, Width width)
      : grid_(verdict.grid),
        frame_(frame_of(width)),
        columns_(grid_.step_blocks(), frame_.most_columns),
        rows_(grid_.blocks(), frame_.most_rows),
        cell_(std::clamp<std::int64_t>((frame_.width - frame_.labels) / columns_.count, 8, 34)) {
    for (const audit::CellVerdict& v : verdict.sampled) count(v);
  }

  std::string svg() const;

 private:
  void count(const audit::CellVerdict& v) {
    Counts& counts = counts_[{rows_.of(v.cell.block), columns_.of(v.cell.step_block)}];
    ++(v.result == CellResult::kChecked    ? counts.checked
       : v.result == CellResult::kRejected ? counts.rejected
                                           : counts.unanswered);
  }
  std::int64_t x(std::int64_t column) const { return frame_.labels + column * cell_; }
  std::int64_t y(std::int64_t row) const { return row * cell_; }
  /// Cells in a group.
  std::int64_t size(std::int64_t row, std::int64_t column) const {
    return (rows_.begin(row + 1) - rows_.begin(row)) * (columns_.begin(column + 1) - columns_.begin(column));
  }
  std::string row_labels() const;
  std::string column_labels() const;
  std::string cells() const;
  std::string title(std::int64_t row, std::int64_t column, const Counts& counts) const;

  const Grid& grid_;
  Frame frame_;
  Groups columns_;
  Groups rows_;
  std::int64_t cell_;
  std::map<std::pair<std::int64_t, std::int64_t>, Counts> counts_;
};

std::string range(std::string_view one, std::int64_t begin, std::int64_t end) {
  return end - begin == 1 ? cat(one, ' ', begin) : cat(one, "s ", begin, '-', end - 1);
}

std::string Map::title(std::int64_t row, std::int64_t column, const Counts& counts) const {
  const std::int64_t b = rows_.begin(row), b_end = rows_.begin(row + 1);
  const std::int64_t s = columns_.begin(column), s_end = columns_.begin(column + 1);
  std::string text = range("layer block", b, b_end);
  if (b_end - b == 1) text += cat(" (", block_name(grid_, static_cast<int>(b)), ')');
  text += cat(", ", range("step block", s, s_end), " (",
              range("step", grid_.step_begin(s), grid_.step_end(s_end - 1)), "): ");
  const std::int64_t total = size(row, column);
  std::string parts;
  const auto add = [&](std::int64_t n, std::string_view what) {
    if (n > 0) parts += cat(parts.empty() ? "" : ", ", total == 1 ? "" : cat(n, ' '), what);
  };
  add(counts.rejected, "rejected");
  add(counts.unanswered, "unanswered");
  add(counts.checked, "checked");
  add(total - counts.rejected - counts.unanswered - counts.checked, "not sampled");
  return text + parts;
}

/// Of a group of `total` cells. A group of which some are checked must not look like one that is.
std::string_view symbol(const Counts& counts, std::int64_t total) {
  return counts.rejected > 0       ? "rejected"
         : counts.unanswered > 0   ? "unanswered"
         : counts.checked == total ? "checked"
         : counts.checked > 0      ? "partly"
                                   : "unsampled";
}

std::string Map::cells() const {
  std::string out;
  for (std::int64_t row = 0; row < rows_.count; ++row)
    for (std::int64_t column = 0; column < columns_.count; ++column) {
      const auto found = counts_.find({row, column});
      const Counts counts = found == counts_.end() ? Counts{} : found->second;
      const std::string_view id = symbol(counts, size(row, column));
      out +=
          cat("<use href=\"#", id, "\" class=\"", id, "\" x=\"", x(column), "\" y=\"", y(row), "\" width=\"",
              cell_, "\" height=\"", cell_, "\"><title>", title(row, column, counts), "</title></use>\n");
    }
  return out;
}

// A label is drawn only where the one before it leaves room.
std::string Map::row_labels() const {
  std::string out;
  const std::int64_t every = (14 + cell_ - 1) / cell_;
  for (std::int64_t row = 0; row < rows_.count; row += every) {
    const auto block = static_cast<int>(rows_.begin(row));
    out += cat("<text class=\"tick\" text-anchor=\"end\" x=\"", frame_.labels - 8, "\" y=\"",
               y(row) + cell_ / 2 + 4, "\">", block_name(grid_, block), "</text>\n");
  }
  return out;
}

std::string Map::column_labels() const {
  std::string out;
  const std::int64_t every = (48 + cell_ - 1) / cell_;
  for (std::int64_t column = 0; column < columns_.count; column += every)
    out += cat("<text class=\"tick\" x=\"", x(column) + 1, "\" y=\"", y(rows_.count) + 15, "\">",
               grid_.step_begin(columns_.begin(column)), "</text>\n");
  return out + cat("<text class=\"tick\" text-anchor=\"end\" x=\"", frame_.labels - 8, "\" y=\"",
                   y(rows_.count) + 15, "\">step</text>\n");
}

std::string Map::svg() const {
  const std::int64_t width = x(columns_.count) + 24, height = y(rows_.count) + 22;
  return cat(
      "<svg role=\"img\" aria-label=\"Cells of the run, layer blocks by step blocks; the table below has ",
      "the same\" viewBox=\"0 0 ", width, ' ', height, "\" style=\"max-width:", width, "px\">\n",
      row_labels(), column_labels(), cells(), "</svg>\n");
}

std::string shape(std::string_view id, std::string_view inside) {
  return cat("<symbol id=\"", id, "\" viewBox=\"0 0 20 20\">", inside, "</symbol>\n");
}

}  // namespace

std::string block_name(const Grid& grid, int block) {
  if (block == 0) return grid.tied ? "embed, head" : "embed";
  if (block == grid.layer_blocks() + 1) return "head";
  const std::int64_t first = (block - std::int64_t{1}) * grid.layers_per_block;
  const std::int64_t last = std::min<std::int64_t>(grid.layers, first + grid.layers_per_block) - 1;
  return first == last ? cat("layer ", first) : cat("layers ", first, '-', last);
}

std::string cell_symbols() {
  constexpr std::string_view kSquare =
      "<rect class=\"square\" x=\"1\" y=\"1\" width=\"18\" height=\"18\" rx=\"4\"/>";
  return "<svg width=\"0\" height=\"0\" aria-hidden=\"true\" class=\"symbols\">\n" +
         shape("checked", cat(kSquare, "<path class=\"mark\" d=\"M5.5 10.5l3.2 3.2 6-7\"/>")) +
         shape("rejected", cat(kSquare, "<path class=\"mark\" d=\"M6 6l8 8M14 6l-8 8\"/>")) +
         shape("unanswered",
               "<rect class=\"ring\" x=\"2\" y=\"2\" width=\"16\" height=\"16\" rx=\"4\"/>"
               "<path class=\"ring\" d=\"M6 10h8\"/>") +
         shape("partly",
               "<rect class=\"ring\" x=\"2\" y=\"2\" width=\"16\" height=\"16\" rx=\"4\"/>"
               "<circle class=\"core\" cx=\"10\" cy=\"10\" r=\"3.6\"/>") +
         shape("unsampled",
               "<circle cx=\"10\" cy=\"10\" r=\"2.4\"/><rect class=\"area\" width=\"20\" height=\"20\"/>") +
         "</svg>\n";
}

std::string cell_map(const Verdict& verdict, Width width) {
  return Map(verdict, width).svg();
}

bool is_grouped(const Grid& grid, Width width) {
  const Frame frame = frame_of(width);
  return grid.step_blocks() > frame.most_columns || grid.blocks() > frame.most_rows;
}

}  // namespace aftune::report
