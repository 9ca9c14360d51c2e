# aftune_module(name DIR folder [NEEDS module...] [LINKS target...])
#
# The static library aftune_<name> of all .cpp files in the folder (and in its cpu/ folder, where there is one). NEEDS
# are the modules whose headers it may include; tests/check_includes.py compares them with every #include.
#
# A file named *.isa.cpp is compiled once per instruction set, with AFTUNE_ISA_NAMESPACE defined to scalar, avx2 or
# avx512, a *.dot.isa.cpp also for avx512vnni, which adds the dot product of 16-bit integers. Everything in it must live
# in namespace aftune::...::AFTUNE_ISA_NAMESPACE or be static, and it must call no inline function of the standard
# library that the compiler may emit out of line: the linker would keep one copy, perhaps the AVX-512 one, for the whole
# program. tests/check_isa_symbols.py looks for such symbols.
set_property(GLOBAL PROPERTY AFTUNE_MODULE_NEEDS "")

set(AFTUNE_ISAS scalar)
set(AFTUNE_ISA_FLAGS_scalar "")
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  list(APPEND AFTUNE_ISAS avx2 avx512)
  set(AFTUNE_ISA_FLAGS_avx2 -mavx2 -mfma -mbmi2 -mf16c)
  set(AFTUNE_ISA_FLAGS_avx512 -mavx2 -mfma -mbmi2 -mf16c -mavx512f -mavx512bw -mavx512dq -mavx512vl
                              -mprefer-vector-width=512)
  list(APPEND AFTUNE_ISAS avx512vnni)
  set(AFTUNE_ISA_FLAGS_avx512vnni ${AFTUNE_ISA_FLAGS_avx512} -mavx512vnni)
endif()

function(aftune_module name)
  cmake_parse_arguments(M "" "DIR" "NEEDS;LINKS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${M_DIR}/*.cpp ${M_DIR}/cpu/*.cpp)
  set(isa_sources ${sources})
  list(FILTER sources EXCLUDE REGEX "\\.isa\\.cpp$")
  list(FILTER isa_sources INCLUDE REGEX "\\.isa\\.cpp$")
  if(NOT sources AND NOT isa_sources)
    add_library(aftune_${name} INTERFACE)
    set(scope INTERFACE)
  else()
    add_library(aftune_${name} STATIC ${sources})
    set(scope PUBLIC)
  endif()
  target_include_directories(aftune_${name} ${scope} ${PROJECT_SOURCE_DIR}/libaftune ${PROJECT_SOURCE_DIR})
  foreach(need IN LISTS M_NEEDS)
    target_link_libraries(aftune_${name} ${scope} aftune_${need})
  endforeach()
  if(M_LINKS)
    target_link_libraries(aftune_${name} ${scope} ${M_LINKS})
  endif()
  if(isa_sources)
    set(dot_sources ${isa_sources})
    list(FILTER dot_sources INCLUDE REGEX "\\.dot\\.isa\\.cpp$")
    foreach(isa IN LISTS AFTUNE_ISAS)
      if(isa STREQUAL "avx512vnni")
        if(NOT dot_sources)
          continue()
        endif()
        add_library(aftune_${name}_${isa} OBJECT ${dot_sources})
      else()
        add_library(aftune_${name}_${isa} OBJECT ${isa_sources})
      endif()
      target_include_directories(aftune_${name}_${isa} PRIVATE
        ${PROJECT_SOURCE_DIR}/libaftune ${PROJECT_SOURCE_DIR})
      target_compile_definitions(aftune_${name}_${isa} PRIVATE AFTUNE_ISA_NAMESPACE=${isa})
      target_compile_options(aftune_${name}_${isa} PRIVATE ${AFTUNE_ISA_FLAGS_${isa}})
      if(AFTUNE_FUZZ)
        # Arithmetic parses nothing: the fuzzer's time goes elsewhere.
        target_compile_options(aftune_${name}_${isa} PRIVATE -fno-sanitize=all)
      endif()
      target_sources(aftune_${name} PRIVATE $<TARGET_OBJECTS:aftune_${name}_${isa}>)
      set_property(GLOBAL APPEND PROPERTY AFTUNE_ISA_OBJECTS aftune_${name}_${isa})
    endforeach()
  endif()
  list(JOIN M_NEEDS " " needs)
  set_property(GLOBAL APPEND PROPERTY AFTUNE_MODULE_NEEDS "${name} ${M_DIR} ${needs}")
endfunction()

# Writes the declared needs, one module a line: "name folder need need ...".
function(aftune_write_needs path)
  get_property(all GLOBAL PROPERTY AFTUNE_MODULE_NEEDS)
  list(JOIN all "\n" text)
  file(WRITE ${path} "${text}\n")
endfunction()
