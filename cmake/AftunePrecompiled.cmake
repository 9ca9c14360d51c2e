# Half of a build is reading the same headers again. With AFTUNE_PCH they are read once for libraries and tools and once
# for tests. The preset "dev" goes without, so that a file still has to include what it uses. Builds that only tests run,
# with a sanitizer or for another processor, join the files of a library besides (AFTUNE_UNITY).
option(AFTUNE_PCH "Precompile the headers that most files include" ON)
option(AFTUNE_UNITY "Compile the files of a library several at a time" OFF)

set(AFTUNE_PCH_HEADERS <algorithm> <cstdint> <functional> <map> <memory> <nlohmann/json.hpp> <optional> <set> <sstream>
                       <string> <string_view> <vector>)

# For the libraries of this folder and those below, but for what is compiled for one instruction set, and for tools.
function(aftune_precompile folder)
  get_property(targets DIRECTORY ${folder} PROPERTY BUILDSYSTEM_TARGETS)
  foreach(target IN LISTS targets)
    get_target_property(type ${target} TYPE)
    if(target MATCHES "^aftune_(base|kernels)$")
      continue()
    endif()
    if(AFTUNE_PCH AND (type STREQUAL "STATIC_LIBRARY" OR target MATCHES "^aftune-.*-main$"))
      target_precompile_headers(${target} REUSE_FROM aftune_base)
    endif()
    if(AFTUNE_UNITY AND type STREQUAL "STATIC_LIBRARY" AND target MATCHES "^aftune_")
      set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 12)
    endif()
  endforeach()
  get_property(folders DIRECTORY ${folder} PROPERTY SUBDIRECTORIES)
  foreach(below IN LISTS folders)
    aftune_precompile(${below})
  endforeach()
endfunction()
