#include "kernels/profile.h"

#include "base/error.h"
#include "kernels/i14.h"
#include "kernels/native.h"

namespace aftune::kernels {

std::string name(const Profile& profile) {
  if (profile.native) return "native";
  return profile.is_i14() ? cat("i14:", profile.group) : "f32";
}

// One profile has one name: "i14:0256" is none.
std::optional<Profile> profile_from_name(std::string_view text) {
  if (text == "f32") return Profile{};
  if (text == "native") return Profile{0, true};
  if (text == "i14") return Profile{kDefaultI14Group};
  for (const int group : kI14Groups)
    if (text == name(Profile{group})) return Profile{group};
  return std::nullopt;
}

void linear(ThreadPool& pool, const Profile& profile, std::int64_t n, std::int64_t in, std::int64_t out,
            const float* x, const float* w, float* y, Into into) {
  if (profile.is_i14()) return linear_i14(pool, n, in, out, x, w, y, into, profile.group);
  if (profile.native) return linear_native(pool, n, in, out, x, w, y, into);
  linear(pool, n, in, out, x, w, y, into);
}

void linear_grad_input(ThreadPool& pool, const Profile& profile, std::int64_t n, std::int64_t in,
                       std::int64_t out, const float* dy, const float* w, float* dx, Into into) {
  if (profile.is_i14()) return linear_grad_input_i14(pool, n, in, out, dy, w, dx, into, profile.group);
  if (profile.native) return linear_grad_input_native(pool, n, in, out, dy, w, dx, into);
  linear_grad_input(pool, n, in, out, dy, w, dx, into);
}

void linear_grad_weight(ThreadPool& pool, const Profile& profile, std::int64_t rows,
                        const std::int64_t* row_starts, std::int64_t in, std::int64_t out, const float* dy,
                        const float* x, float* dw) {
  if (profile.is_i14())
    return linear_grad_weight_i14(pool, rows, row_starts, in, out, dy, x, dw, profile.group);
  if (profile.native) return linear_grad_weight_native(pool, rows, row_starts, in, out, dy, x, dw);
  linear_grad_weight(pool, rows, row_starts, in, out, dy, x, dw);
}

}  // namespace aftune::kernels
