# Whole training steps with each lower instruction set forced: their known fingerprints must come out of every one.
if(TARGET test_train AND CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  foreach(isa IN ITEMS scalar avx2)
    add_test(NAME unit.engine.${isa} COMMAND test_train --gtest_brief=1 --gtest_filter=*EngineBits*)
    set_tests_properties(unit.engine.${isa} PROPERTIES ENVIRONMENT AFTUNE_ISA=${isa})
  endforeach()
endif()

# A real trained model, which is not part of this project: the test is registered where it is found.
if(EXISTS "${AFTUNE_SHARED}/models/stories260k/model.safetensors")
  add_executable(test_real_model ${CMAKE_CURRENT_SOURCE_DIR}/real/stories_test.cpp)
  target_link_libraries(test_real_model PRIVATE aftune_train GTest::gtest GTest::gtest_main)
  target_include_directories(test_real_model PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
  target_compile_definitions(test_real_model PRIVATE
    AFTUNE_TESTS_DIR="${CMAKE_CURRENT_SOURCE_DIR}" AFTUNE_SHARED_DIR="${AFTUNE_SHARED}")
  add_test(NAME real.model COMMAND test_real_model --gtest_brief=1)
endif()
