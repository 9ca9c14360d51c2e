#include "tokenizer/unicode.h"

#include <algorithm>
#include <array>
#include <tuple>
#include <vector>

#include "tokenizer/utf8.h"

namespace aftune::tokenizer {
namespace {

std::uint8_t searched_classes(char32_t code) {
  const auto after = std::ranges::upper_bound(kClassChanges, code, {}, &ClassChange::first);
  return std::prev(after)->classes;
}

std::array<std::uint8_t, 0x100> latin_classes() {
  std::array<std::uint8_t, 0x100> out{};
  for (std::size_t code = 0; code < out.size(); ++code)
    out[code] = searched_classes(static_cast<char32_t>(code));
  return out;
}

// Hangul syllables are composed by arithmetic (Unicode, section 3.12).
constexpr char32_t kSyllables = 0xac00, kLeads = 0x1100, kVowels = 0x1161, kTails = 0x11a7;
constexpr char32_t kLeadCount = 19, kVowelCount = 21, kTailCount = 28;
constexpr char32_t kSyllableCount = kLeadCount * kVowelCount * kTailCount;

struct Mark {
  char32_t code;
  std::uint8_t combining;
};

std::uint8_t combining_class(char32_t code) {
  const auto after = std::ranges::upper_bound(kCombiningRanges, code, {}, &CombiningRange::first);
  if (after == kCombiningRanges.begin() || std::prev(after)->last < code) return 0;
  return std::prev(after)->combining;
}

void decompose(char32_t code, std::vector<Mark>& out) {
  if (code - kSyllables < kSyllableCount) {
    const char32_t index = code - kSyllables;
    out.push_back({kLeads + index / (kVowelCount * kTailCount), 0});
    out.push_back({kVowels + index / kTailCount % kVowelCount, 0});
    if (index % kTailCount != 0) out.push_back({kTails + index % kTailCount, 0});
    return;
  }
  const auto found = std::ranges::lower_bound(kDecompositions, code, {}, &Decomposition::composed);
  if (found == kDecompositions.end() || found->composed != code) {
    out.push_back({code, combining_class(code)});
    return;
  }
  decompose(found->first, out);
  if (found->second != 0) decompose(found->second, out);
}

// Canonical ordering: each run of marks is sorted by combining class, stably.
void order_marks(std::vector<Mark>& marks) {
  for (auto run = marks.begin(); run != marks.end();) {
    if (run->combining == 0) {
      ++run;
      continue;
    }
    const auto end = std::find_if(run, marks.end(), [](const Mark& mark) { return mark.combining == 0; });
    std::ranges::stable_sort(run, end, {}, &Mark::combining);
    run = end;
  }
}

// What the pair composes to, or 0.
char32_t compose_pair(char32_t first, char32_t second) {
  if (first - kLeads < kLeadCount && second - kVowels < kVowelCount)
    return kSyllables + ((first - kLeads) * kVowelCount + (second - kVowels)) * kTailCount;
  if (first - kSyllables < kSyllableCount && (first - kSyllables) % kTailCount == 0 &&
      second - kTails - 1 < kTailCount - 1)
    return first + (second - kTails);
  const std::tuple<char32_t, char32_t> wanted(first, second);
  const auto key = [](const Composition& c) { return std::tuple<char32_t, char32_t>(c.first, c.second); };
  const auto found = std::ranges::lower_bound(kCompositions, wanted, {}, key);
  return found != kCompositions.end() && key(*found) == wanted ? found->composed : 0;
}

// Canonical composition, in place. A mark is blocked from the last starter by anything kept between them
// whose class is not lower than its own.
void compose(std::vector<Mark>& marks) {
  std::size_t kept = 0;
  std::size_t starter = marks.size();
  for (const Mark mark : marks) {
    if (starter != marks.size()) {
      const bool adjacent = starter + 1 == kept;
      const bool blocked = !adjacent && marks[kept - 1].combining >= mark.combining;
      if (const char32_t composed = blocked ? 0 : compose_pair(marks[starter].code, mark.code)) {
        marks[starter].code = composed;
        continue;
      }
    }
    if (mark.combining == 0) starter = kept;
    marks[kept++] = mark;
  }
  marks.resize(kept);
}

// Text below U+0300 holds no marks and nothing that composes.
bool surely_normal(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0xcc; });
}

}  // namespace

std::uint8_t classes_of(char32_t code) {
  static const std::array<std::uint8_t, 0x100> latin = latin_classes();
  return code < latin.size() ? latin[code] : searched_classes(code);
}

std::string nfc(std::string_view text) {
  if (surely_normal(text)) return std::string(text);
  std::vector<Mark> marks;
  marks.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) decompose(next_code_point(text, at), marks);
  order_marks(marks);
  compose(marks);
  std::string out;
  out.reserve(text.size());
  for (const Mark& mark : marks) append_code_point(out, mark.code);
  return out;
}

}  // namespace aftune::tokenizer
