#include "kernels/profile.h"

#include <gtest/gtest.h>

#include "kernels/i14.h"

namespace aftune::kernels {
namespace {

TEST(Profile, HasOneNameAndI14IsShortForTheUsualGroup) {
  EXPECT_EQ(name(Profile{}), "f32");
  EXPECT_EQ(profile_from_name("f32"), Profile{});
  for (const int group : kI14Groups) {
    EXPECT_TRUE(is_i14_group(group));
    EXPECT_EQ(profile_from_name(name(Profile{group})), Profile{group});
  }
  EXPECT_EQ(name(Profile{kDefaultI14Group}), "i14:256");
  EXPECT_EQ(profile_from_name("i14"), Profile{kDefaultI14Group});
  EXPECT_EQ(name(Profile{0, true}), "native");
  EXPECT_EQ(profile_from_name("native"), (Profile{0, true}));
}

TEST(Profile, KnowsNoOther) {
  for (const char* text :
       {"", "F32", "f32:256", "i14:", "i14:0", "i14:64", "i14:0256", "i14:256 ", "i14:2048", "Native"})
    EXPECT_FALSE(profile_from_name(text)) << text;
}

}  // namespace
}  // namespace aftune::kernels
