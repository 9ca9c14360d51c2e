#include <algorithm>
#include <cmath>
#include <sstream>

#include "base/error.h"
#include "report/figures.h"

namespace aftune::report {
namespace {

struct Point {
  double step = 0;
  double loss = 0;
};

struct ChartFrame {
  double width, height;
  double left = 52, right = 14, top = 10, bottom = 26;
  int ticks;  ///< about so many on the axis of steps
};

/// A multiple of 1, 2 or 5 times a power of ten, so that about `count` of it span `range`.
double tick_spacing(double range, int count) {
  const double raw = range / count;
  const double power = std::pow(10.0, std::floor(std::log10(raw)));
  for (const double factor : {1.0, 2.0, 5.0})
    if (factor * power >= raw) return factor * power;
  return 10 * power;
}

/// Points in the plane of steps and losses, and where they are drawn.
class Chart {
 public:
  Chart(const RunLog& run, Width width)
      : frame_(width == Width::kNarrow ? ChartFrame{.width = 300, .height = 210, .ticks = 4}
                                       : ChartFrame{.width = 1060, .height = 300, .ticks = 10}),
        steps_(std::max<double>(1, static_cast<double>(run.losses.size()) - 1)),
        train_(thinned(run.losses)) {
    for (const EvalLoss& e : run.evals)
      if (std::isfinite(e.loss)) eval_.push_back({static_cast<double>(e.step), static_cast<double>(e.loss)});
    find_range();
  }

  std::string svg() const;

 private:
  std::vector<Point> thinned(const std::vector<float>& losses) const;
  void find_range();
  double x(double step) const {
    return frame_.left + step / steps_ * (frame_.width - frame_.left - frame_.right);
  }
  double y(double loss) const {
    return frame_.top + (most_ - loss) / (most_ - least_) * (frame_.height - frame_.top - frame_.bottom);
  }
  std::string line(const std::vector<Point>& points, std::string_view kind) const;
  std::string marks() const;
  std::string step_axis() const;
  std::string loss_axis() const;

  ChartFrame frame_;
  double steps_;
  std::vector<Point> train_, eval_;
  double least_ = 0, most_ = 1;
};

std::vector<Point> Chart::thinned(const std::vector<float>& losses) const {
  const std::size_t groups = static_cast<std::size_t>(frame_.width) / 2;
  const std::size_t each = std::max<std::size_t>(1, (losses.size() + groups - 1) / groups);
  std::vector<Point> points;
  for (std::size_t begin = 0; begin < losses.size(); begin += each) {
    std::vector<Point> group;
    for (std::size_t t = begin; t < std::min(losses.size(), begin + each); ++t)
      if (std::isfinite(losses[t])) group.push_back({static_cast<double>(t), static_cast<double>(losses[t])});
    if (group.empty()) continue;
    const auto less = [](const Point& a, const Point& b) { return a.loss < b.loss; };
    const auto [low, high] = std::minmax_element(group.begin(), group.end(), less);
    points.push_back(low->step < high->step ? *low : *high);
    if (low != high) points.push_back(low->step < high->step ? *high : *low);
  }
  return points;
}

void Chart::find_range() {
  std::vector<double> all;
  for (const Point& p : train_) all.push_back(p.loss);
  for (const Point& p : eval_) all.push_back(p.loss);
  if (all.empty()) return;
  const auto [low, high] = std::minmax_element(all.begin(), all.end());
  const double low_value = *low, high_value = *high;
  const double range = high_value - low_value;
  // Losses of one value, or of magnitudes where binary64 has no room between, are drawn in the middle.
  const double margin = std::max(range * 0.06, std::max(1e-6, std::abs(high_value) * 1e-6));
  least_ = low_value - margin;
  most_ = high_value + margin;
}

std::string fixed(double value) {
  std::ostringstream out;
  out.setf(std::ios::fixed);
  out.precision(1);
  out << value;
  return std::move(out).str();
}

std::string Chart::line(const std::vector<Point>& points, std::string_view kind) const {
  std::string list;
  for (const Point& p : points) list += cat(list.empty() ? "" : " ", fixed(x(p.step)), ',', fixed(y(p.loss)));
  return cat("<polyline class=\"", kind, "\" points=\"", list, "\"/>\n");
}

// One evaluation alone would be a line of no length.
std::string Chart::marks() const {
  if (eval_.size() > 60) return "";
  std::string out;
  for (const Point& p : eval_)
    out += cat("<circle class=\"eval-mark\" cx=\"", fixed(x(p.step)), "\" cy=\"", fixed(y(p.loss)),
               "\" r=\"3\"><title>step ", p.step, ": evaluation loss ", p.loss, "</title></circle>\n");
  return out;
}

std::string text(double x, double y, std::string_view anchor, std::string_view what) {
  return cat("<text class=\"tick\" text-anchor=\"", anchor, "\" x=\"", fixed(x), "\" y=\"", fixed(y), "\">",
             what, "</text>\n");
}

std::string Chart::step_axis() const {
  std::string out;
  const double spacing = std::max(1.0, tick_spacing(steps_, frame_.ticks));
  const double base = frame_.height - 8;
  for (double step = 0; step <= steps_; step += spacing) {
    const bool crowded = x(step) > frame_.width - frame_.right - 24;  // "step" stands there
    if (step == 0 || !crowded) out += text(x(step), base, "middle", cat(static_cast<std::int64_t>(step)));
  }
  return out + text(frame_.width - frame_.right, base, "end", "step");
}

std::string Chart::loss_axis() const {
  std::string out;
  const double spacing = tick_spacing(most_ - least_, 5);
  for (int i = 0; i < 12; ++i) {
    const double loss = (std::ceil(least_ / spacing) + i) * spacing;
    if (loss > most_) break;
    const std::string at = fixed(y(loss));
    out += cat("<line class=\"rule\" x1=\"", frame_.left, "\" x2=\"", frame_.width - frame_.right, "\" y1=\"",
               at, "\" y2=\"", at, "\"/>\n");
    out += text(frame_.left - 8, y(loss) + 4, "end", cat(std::abs(loss) < spacing / 2 ? 0 : loss));
  }
  return out;
}

std::string Chart::svg() const {
  return cat("<svg role=\"img\" aria-label=\"Loss over steps\" viewBox=\"0 0 ", frame_.width, ' ',
             frame_.height, "\" style=\"max-width:", frame_.width, "px\">\n", loss_axis(), step_axis(),
             line(train_, "train"), line(eval_, "eval"), marks(), "</svg>\n");
}

}  // namespace

std::string loss_chart(const RunLog& run, Width width) {
  return Chart(run, width).svg();
}

}  // namespace aftune::report
