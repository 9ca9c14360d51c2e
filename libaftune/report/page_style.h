#pragma once

#include <string_view>

namespace aftune::report {

// Colours say nothing alone: outcome and cells have words and shapes too. Text has a contrast of at least 4.5
// to what is behind it in both schemes (tests/html/check_page.py).
inline constexpr std::string_view kPageStyle = R"css(
:root {
  color-scheme: light dark;
  --page: #f6f5f2; --card: #ffffff; --ink: #1b1f27; --soft: #5b6270; --line: #e3e1dc; --rule: #eceae6;
  --good: #1c7a4c; --bad: #b3261e; --open: #8a5a00; --idle: #b9b6ae; --train: #2f5aa8; --eval: #a34a00;
  --mark: #ffffff;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #121418; --card: #1a1d23; --ink: #e8eaef; --soft: #a4acba; --line: #2e323b; --rule: #262a32;
    --good: #4cc48b; --bad: #ff8f85; --open: #e6b450; --idle: #565d6a; --train: #8ab4ff; --eval: #ffa869;
    --mark: #1a1d23;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--page); color: var(--ink); overflow-wrap: anywhere;
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif;
}
header, main, footer { max-width: 72rem; margin: 0 auto; padding: 0 clamp(0.9rem, 3vw, 2rem); }
header { padding-top: clamp(1.5rem, 4vw, 3.25rem); }
footer { padding-bottom: 3rem; color: var(--soft); font-size: 0.875rem; }
h1, h2, p, dl, dd, ul, figure { margin: 0; }
.kicker { color: var(--soft); font-size: 0.875rem; overflow-wrap: anywhere; }
h1 { display: flex; align-items: center; gap: 0.6rem; margin: 0.35rem 0 0.5rem; font-size: clamp(2rem, 5vw, 2.9rem);
  line-height: 1.1; letter-spacing: -0.02em; }
h1 svg { flex: none; width: 0.85em; height: 0.85em; }
h2 { font-size: 1.125rem; letter-spacing: -0.005em; margin-bottom: 0.9rem; }
.lead { max-width: 48rem; font-size: 1.0625rem; }
.good { color: var(--good); } .bad { color: var(--bad); } .open { color: var(--open); }
section { background: var(--card); border: 1px solid var(--line); border-radius: 0.85rem; margin: 1.1rem 0;
  padding: clamp(1rem, 2.5vw, 1.6rem); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 9rem), 1fr)); gap: 0.85rem;
  margin: 1.6rem 0 0; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 0.85rem; padding: 0.95rem 1.1rem; }
.tile dt { color: var(--soft); font-size: 0.875rem; }
.tile dd.number { font-size: clamp(1.3rem, 4vw, 1.65rem); line-height: 1.3; letter-spacing: -0.015em; }
.tile dd.of { color: var(--soft); font-size: 0.875rem; }
.number, td, .tick, code { font-variant-numeric: tabular-nums; }
.pair, .stack { display: grid; gap: 1.1rem; grid-template-columns: minmax(0, 1fr); align-content: start; }
.pair section { margin: 0; }
@media (min-width: 62rem) { .pair { margin: 1.1rem 0; grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); } }
.facts { display: grid; grid-template-columns: minmax(0, 1fr); gap: 0.15rem 1.5rem; }
.facts dt { color: var(--soft); font-size: 0.875rem; }
.facts dd { margin-bottom: 0.55rem; overflow-wrap: anywhere; }
@media (min-width: 40rem) {
  .facts { grid-template-columns: 9.5rem minmax(0, 1fr); gap: 0.4rem 1.5rem; }
  .facts dt { padding-top: 0.1rem; }
  .facts dd { margin: 0; }
}
code { font-family: ui-monospace, "SF Mono", "Cascadia Mono", "Liberation Mono", monospace; font-size: 0.85em;
  overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; }
th { text-align: left; color: var(--soft); font-weight: 500; font-size: 0.875rem; }
th[scope=row] { color: var(--ink); font-size: 1rem; }
th, td { padding: 0.4rem 0.75rem 0.4rem 0; border-bottom: 1px solid var(--rule); vertical-align: top; }
tbody tr:last-child > * { border-bottom: 0; }
.count { text-align: right; padding-right: 0; }
th.count { width: 5rem; }
.scroll { max-height: 26rem; overflow: auto; margin-top: 0.6rem; }
.scroll:focus-visible, summary:focus-visible { outline: 2px solid var(--train); outline-offset: 2px; }
.reasons { list-style: none; padding: 0; display: grid; gap: 1rem; }
.reasons li { border-left: 3px solid currentColor; padding-left: 0.9rem; }
.reasons div { color: var(--ink); overflow-wrap: anywhere; }
.tag { font-weight: 600; }
.unchecked { padding-left: 1.15rem; display: grid; gap: 0.4rem; overflow-wrap: anywhere; }
.unchecked li::marker { color: var(--open); }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: 0.35rem 1.25rem; padding: 0; margin: 0 0 0.9rem;
  font-size: 0.875rem; color: var(--soft); }
.legend li { display: flex; align-items: center; gap: 0.45rem; }
.legend svg { width: 1.1rem; height: 1.1rem; }
figure svg { display: block; width: 100%; height: auto; }
.wide { display: none; }
@media (min-width: 48rem) { .wide { display: block; } .narrow { display: none; } }
.symbols { position: absolute; }
.checked { fill: var(--good); stroke: var(--good); } .rejected { fill: var(--bad); stroke: var(--bad); }
.partly { fill: var(--good); stroke: var(--good); }
.unanswered { fill: var(--open); stroke: var(--open); } .unsampled { fill: var(--idle); }
.square, .core { stroke: none; }
.mark { fill: none; stroke: var(--mark); stroke-width: 2.4; stroke-linecap: round; stroke-linejoin: round; }
.ring { fill: none; stroke-width: 2; } .area { fill: transparent; }
.tick { fill: var(--soft); font-size: 12px; }
.rule { stroke: var(--rule); stroke-width: 1; }
.train, .eval { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
.train { stroke: var(--train); } .eval { stroke: var(--eval); stroke-dasharray: 6 5; }
.eval-mark { fill: var(--card); stroke: var(--eval); stroke-width: 2; }
.note { color: var(--soft); font-size: 0.875rem; margin-top: 0.75rem; }
details { margin-top: 1rem; } summary { cursor: pointer; color: var(--soft); font-size: 0.875rem; }
@media print { body { background: none; } section, .tile { break-inside: avoid; } }
)css";

}  // namespace aftune::report
