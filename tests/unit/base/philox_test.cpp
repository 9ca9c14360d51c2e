#include "base/philox.h"

#include <gtest/gtest.h>

namespace aftune {
namespace {

// Known answers of the Random123 distribution for Philox4x32-10.
TEST(Philox, KnownAnswers) {
  EXPECT_EQ(philox({0, 0, 0, 0}, 0), (PhiloxBlock{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  constexpr std::uint32_t kOnes = 0xffffffff;
  EXPECT_EQ(philox({kOnes, kOnes, kOnes, kOnes}, ~std::uint64_t{0}),
            (PhiloxBlock{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, 0x299f31d0a4093822),
            (PhiloxBlock{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, CounterAndKeyWordsAreLowFirst) {
  EXPECT_EQ(philox({1, 0, 0, 0}, 0), (PhiloxBlock{0xf8e4cca4, 0x5cb200db, 0xb1a574eb, 0x097eff67}));
  EXPECT_EQ(philox({0, 0, 0, 0}, 1), (PhiloxBlock{0xe3e80670, 0xe50a0ebc, 0x95f222c0, 0xb615aa27}));
}

}  // namespace
}  // namespace aftune
