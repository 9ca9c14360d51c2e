# What a dishonest provider can try, on a real recorded run; each test asserts verdict and reason.
file(GLOB attack_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/attacks/*.cpp)
add_executable(test_attacks ${attack_sources})
target_link_libraries(test_attacks PRIVATE aftune_audit GTest::gtest)
target_include_directories(test_attacks PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
target_compile_definitions(test_attacks PRIVATE AFTUNE_SCRATCH_DIR="${CMAKE_CURRENT_BINARY_DIR}")
if(AFTUNE_SANITIZE)
  # Minutes, of which forking takes the most: in two halves, without what is long and many runs of one kind (rates of
  # detection, one kind of trace of two, one more family of models). The whole is counted in the other builds.
  string(CONCAT short "-Rates.*:*EverySingleTensorOfAState/MadeAgain:*OfEverySegment/MadeAgain:"
                      "Bisect.AForgedOperationOfAnotherFamilyIsFound")
  foreach(half 0 1)
    add_test(NAME attacks.half${half} COMMAND test_attacks --gtest_brief=1 --gtest_filter=${short})
    set_tests_properties(attacks.half${half} PROPERTIES LABELS sanitize TIMEOUT 900 COST 100
      ENVIRONMENT "GTEST_TOTAL_SHARDS=2;GTEST_SHARD_INDEX=${half}")
  endforeach()
else()
  add_test(NAME attacks COMMAND test_attacks --gtest_brief=1)
  set_tests_properties(attacks PROPERTIES TIMEOUT 900 COST 100)
endif()
# Cells that are replayed side by side: under ThreadSanitizer too, by themselves, for which the rest need not be built.
set(jobs_sources ${attack_sources})
list(FILTER jobs_sources EXCLUDE REGEX "_test\\.cpp$")
add_executable(test_jobs EXCLUDE_FROM_ALL ${jobs_sources} ${CMAKE_CURRENT_SOURCE_DIR}/attacks/jobs_test.cpp)
target_link_libraries(test_jobs PRIVATE aftune_audit GTest::gtest)
target_include_directories(test_jobs PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
target_compile_definitions(test_jobs PRIVATE AFTUNE_SCRATCH_DIR="${CMAKE_CURRENT_BINARY_DIR}")
if(AFTUNE_SANITIZE MATCHES "thread")
  add_test(NAME attacks.jobs COMMAND test_jobs --gtest_brief=1 --gtest_filter=Jobs.*)
  set_tests_properties(attacks.jobs PROPERTIES LABELS threads)
  add_dependencies(threaded-tests test_jobs)
endif()

# Hostile files given to the tools, under limits of time and memory. A sanitizer's shadow memory passes any such limit.
aftune_python_has(has_hostile_packages h5py numpy)
find_program(AFTUNE_ZSTD zstd)
find_program(AFTUNE_B3SUM b3sum)
if(has_hostile_packages AND AFTUNE_ZSTD AND AFTUNE_B3SUM AND NOT AFTUNE_SANITIZE)
  add_test(NAME attacks.hostile_files
    COMMAND ${AFTUNE_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/attacks/hostile_files.py ${PROJECT_BINARY_DIR}/bin
      ${CMAKE_CURRENT_BINARY_DIR}/cli-fixture)
  set_tests_properties(attacks.hostile_files PROPERTIES FIXTURES_REQUIRED cli TIMEOUT 900)
endif()
