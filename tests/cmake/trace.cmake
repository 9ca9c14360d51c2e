# Segments are read by programs that are not ours, and a log by a script that shares no code with us.
add_executable(write_segment write_segment.cpp)
target_link_libraries(write_segment PRIVATE aftune_trace)

find_program(AFTUNE_H5DUMP h5dump)
if(AFTUNE_H5DUMP)
  add_test(NAME independent.h5dump
    COMMAND sh ${CMAKE_CURRENT_SOURCE_DIR}/independent/h5dump_reads_segment.sh
      $<TARGET_FILE:write_segment> $<TARGET_FILE_DIR:h5zstd>)
endif()

aftune_python_has(has_h5py h5py numpy)
if(has_h5py)
  add_test(NAME independent.h5py
    COMMAND ${AFTUNE_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/independent/h5py_reads_segment.py
      $<TARGET_FILE:write_segment> $<TARGET_FILE_DIR:h5zstd>)
endif()

add_executable(write_sealed_log write_sealed_log.cpp)
target_link_libraries(write_sealed_log PRIVATE aftune_trace)
aftune_python_has(has_cryptography cryptography)
aftune_python_has(has_nacl nacl)
if(has_cryptography OR has_nacl)
  add_test(NAME independent.log_root
    COMMAND ${AFTUNE_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/independent/check_log_root.py
      $<TARGET_FILE:write_sealed_log>)
  add_test(NAME independent.history
    COMMAND ${AFTUNE_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/independent/check_history.py ${PROJECT_BINARY_DIR}/bin
      ${CMAKE_CURRENT_BINARY_DIR}/cli-fixture)
  set_tests_properties(independent.history PROPERTIES FIXTURES_REQUIRED cli)
endif()
