#pragma once

namespace aftune {

/// Whether AddressSanitizer or ThreadSanitizer is compiled in: their runtimes reserve terabytes of address
/// space, and report on standard error.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitizers = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
inline constexpr bool kSanitizers = true;
#else
inline constexpr bool kSanitizers = false;
#endif
#else
inline constexpr bool kSanitizers = false;
#endif

}  // namespace aftune
