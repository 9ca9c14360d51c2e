# Two thirds of a sanitizer build is reading the same headers again. With AFTUNE_PCH they are read once for libraries
# and once for executables. Users' and developers' builds go without, so that a file still has to include what it uses.
option(AFTUNE_PCH "Precompile the headers that most files include" OFF)

set(AFTUNE_PCH_HEADERS <algorithm> <cstdint> <functional> <map> <memory> <nlohmann/json.hpp> <optional> <set> <sstream>
                       <string> <string_view> <vector>)

# For all libraries and executables of this folder and those below, but for what is compiled for one instruction set.
function(aftune_precompile folder)
  get_property(targets DIRECTORY ${folder} PROPERTY BUILDSYSTEM_TARGETS)
  foreach(target IN LISTS targets)
    get_target_property(type ${target} TYPE)
    if(type STREQUAL "STATIC_LIBRARY" AND NOT target STREQUAL "aftune_base" AND NOT target STREQUAL "aftune_kernels")
      target_precompile_headers(${target} REUSE_FROM aftune_base)
    elseif(type STREQUAL "EXECUTABLE" AND NOT target STREQUAL "aftune-key")
      target_precompile_headers(${target} REUSE_FROM aftune-key)
    endif()
  endforeach()
  get_property(folders DIRECTORY ${folder} PROPERTY SUBDIRECTORIES)
  foreach(below IN LISTS folders)
    aftune_precompile(${below})
  endforeach()
endfunction()

# Whoever reads them must define what their owner does: aftune-key has the fewest definitions of all executables.
if(AFTUNE_PCH AND TARGET aftune-key AND AFTUNE_TESTS)
  target_precompile_headers(aftune_base PRIVATE ${AFTUNE_PCH_HEADERS})
  target_precompile_headers(aftune-key PRIVATE ${AFTUNE_PCH_HEADERS})
  aftune_precompile(${PROJECT_SOURCE_DIR})
endif()
