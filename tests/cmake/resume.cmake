# A run that SIGKILL ends at about 100 random moments is the run that was left alone.
add_executable(resume_driver resume_driver.cpp)
target_link_libraries(resume_driver PRIVATE aftune_train)
target_compile_definitions(resume_driver PRIVATE AFTUNE_TESTS_DIR="${CMAKE_CURRENT_SOURCE_DIR}")
add_test(NAME resume.sigkill COMMAND resume_driver ${CMAKE_CURRENT_BINARY_DIR}/resume 100 60 1)
set_tests_properties(resume.sigkill PROPERTIES TIMEOUT 300)
# So is a log whose sealing SIGKILL ended.
add_executable(seal_driver seal_driver.cpp)
target_link_libraries(seal_driver PRIVATE aftune_trace)
add_test(NAME resume.sealing COMMAND seal_driver ${CMAKE_CURRENT_BINARY_DIR}/sealing 150 60 1)
set_tests_properties(resume.sealing PROPERTIES TIMEOUT 300)
