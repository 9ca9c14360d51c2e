# The kernels' tests once more with each lower instruction set forced: what they call through ops.h is then that set.
if(TARGET test_kernels AND CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  foreach(isa IN ITEMS scalar avx2)
    add_test(NAME unit.kernels.${isa} COMMAND test_kernels --gtest_brief=1)
    set_tests_properties(unit.kernels.${isa} PROPERTIES ENVIRONMENT AFTUNE_ISA=${isa})
  endforeach()
endif()
