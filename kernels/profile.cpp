#include "kernels/profile.h"

#include "base/error.h"
#include "kernels/i14.h"

namespace aftune::kernels {

std::string name(const Profile& profile) {
  return profile.is_i14() ? cat("i14:", profile.group) : "f32";
}

// One profile has one name: "i14:0256" is none.
std::optional<Profile> profile_from_name(std::string_view text) {
  if (text == "f32") return Profile{};
  if (text == "i14") return Profile{kDefaultI14Group};
  for (const int group : kI14Groups)
    if (text == name(Profile{group})) return Profile{group};
  return std::nullopt;
}

}  // namespace aftune::kernels
