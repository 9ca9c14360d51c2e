# What a dishonest provider can try, on a real recorded run; each test asserts verdict and reason.
file(GLOB attack_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/attacks/*.cpp)
add_executable(test_attacks ${attack_sources})
target_link_libraries(test_attacks PRIVATE aftune_audit GTest::gtest)
target_include_directories(test_attacks PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
target_compile_definitions(test_attacks PRIVATE AFTUNE_SCRATCH_DIR="${CMAKE_CURRENT_BINARY_DIR}")
add_test(NAME attacks COMMAND test_attacks --gtest_brief=1)
set_tests_properties(attacks PROPERTIES LABELS sanitize TIMEOUT 900)
