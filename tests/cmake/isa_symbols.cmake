# No object compiled for one instruction set may define a symbol that the rest of the program could be linked with.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
set(check ${CMAKE_CURRENT_SOURCE_DIR}/check_isa_symbols.py)
get_property(targets GLOBAL PROPERTY AFTUNE_ISA_OBJECTS)
foreach(target IN LISTS targets)
  string(REGEX REPLACE ".*_" "" isa ${target})
  add_test(NAME isa_symbols.${target}
    COMMAND ${Python3_EXECUTABLE} ${check} ${CMAKE_NM} ${isa} $<TARGET_OBJECTS:${target}>
    COMMAND_EXPAND_LISTS)
endforeach()
# The check itself must see a leak: the objects of other modules define symbols outside such a namespace.
if(targets)
  add_test(NAME isa_symbols.sees_a_leak
    COMMAND ${Python3_EXECUTABLE} ${check} ${CMAKE_NM} scalar $<TARGET_OBJECTS:aftune_hash>
    COMMAND_EXPAND_LISTS)
  set_tests_properties(isa_symbols.sees_a_leak PROPERTIES PASS_REGULAR_EXPRESSION "defines outside namespace scalar")
endif()
