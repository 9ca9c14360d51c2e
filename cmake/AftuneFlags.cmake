# Flags that every translation unit is built with. Those that decide bits are listed in docs/numerics.md:
# no contraction (an fma is one only where fmaf is written); errno and traps off, which change no value.
add_compile_options(
  -ffp-contract=off -fno-math-errno -fno-trapping-math
  -Wall -Wextra -Wshadow -Wpedantic -Wconversion -Wno-sign-conversion -Wnon-virtual-dtor -Werror
  -fstack-protector-strong)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # Wide vector types are passed between inlined functions of one ISA only; the ABI note about them is noise.
  add_compile_options(-Wno-psabi)
else()
  # Kernels use & on booleans on purpose: both sides are computed, and the loop has no branch.
  add_compile_options(-Wno-bitwise-instead-of-logical -Wno-bitwise-conditional-parentheses -Wno-pass-failed)
endif()
set(CMAKE_CXX_FLAGS_RELEASE "-O3 -DNDEBUG")
set(CMAKE_CXX_FLAGS_DEBUG "-O1 -g -fno-omit-frame-pointer")
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

if(AFTUNE_SANITIZE)
  # Lines and functions are enough for reports, and build a fifth faster than all of -g.
  add_compile_options(-g1)
  add_compile_options(-fsanitize=${AFTUNE_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${AFTUNE_SANITIZE})
endif()
if(AFTUNE_SANITIZE OR AFTUNE_PCH)
  # GCC 12 warns of bounds within the standard library's own strings, between a sanitizer's calls and where its headers
  # are precompiled. Builds without either (preset "dev") have these warnings.
  add_compile_options(-Wno-array-bounds -Wno-stringop-overflow -Wno-stringop-overread)
endif()

# Coverage for libFuzzer (clang only): every module is instrumented, and each target of tests/fuzz is linked with the
# fuzzer's own main.
if(AFTUNE_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "AFTUNE_FUZZ needs clang: libFuzzer comes with it")
  endif()
  add_compile_options(-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all)
  add_link_options(-fsanitize=address,undefined)
endif()
