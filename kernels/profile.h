#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace aftune::kernels {

/// The arithmetic of the large matrix products (docs/numerics.md, "Profiles"); everything else is f32 in all
/// profiles.
struct Profile {
  /// i14: how many elements share a scale. f32: 0.
  int group = 0;
  /// Products by the device's own library, whose bits nothing but it defines (kernels/native.h).
  bool native = false;

  bool is_i14() const { return group != 0; }
  friend bool operator==(const Profile&, const Profile&) = default;
};

/// "f32", "native" or, with its group, "i14:256": the manifest states it, policies allow it.
std::string name(const Profile& profile);
/// The profile of that name, or none. "i14" is the one of the usual group.
std::optional<Profile> profile_from_name(std::string_view name);

}  // namespace aftune::kernels
