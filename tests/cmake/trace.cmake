# Segments are read by programs that are not ours, and a log by a script that shares no code with us.
add_executable(write_segment write_segment.cpp)
target_link_libraries(write_segment PRIVATE aftune_trace)

find_program(AFTUNE_H5DUMP h5dump)
if(AFTUNE_H5DUMP)
  add_test(NAME independent.h5dump
    COMMAND sh ${CMAKE_CURRENT_SOURCE_DIR}/independent/h5dump_reads_segment.sh
      $<TARGET_FILE:write_segment> $<TARGET_FILE_DIR:h5zstd>)
endif()

# AFTUNE_PYTHON may name an interpreter that has the packages; tests that need them are left out otherwise.
find_program(AFTUNE_PYTHON NAMES python3)
if(AFTUNE_PYTHON)
  execute_process(COMMAND ${AFTUNE_PYTHON} -c "import h5py, numpy" RESULT_VARIABLE no_h5py OUTPUT_QUIET ERROR_QUIET)
  if(no_h5py EQUAL 0)
    add_test(NAME independent.h5py
      COMMAND ${AFTUNE_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/independent/h5py_reads_segment.py
        $<TARGET_FILE:write_segment> $<TARGET_FILE_DIR:h5zstd>)
  endif()
endif()

add_executable(write_sealed_log write_sealed_log.cpp)
target_link_libraries(write_sealed_log PRIVATE aftune_trace)
if(AFTUNE_PYTHON)
  foreach(package cryptography nacl)
    execute_process(COMMAND ${AFTUNE_PYTHON} -c "import ${package}" RESULT_VARIABLE absent OUTPUT_QUIET ERROR_QUIET)
    if(absent EQUAL 0)
      set(AFTUNE_HAS_ED25519 TRUE)
    endif()
  endforeach()
  if(AFTUNE_HAS_ED25519)
    add_test(NAME independent.log_root
      COMMAND ${AFTUNE_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/independent/check_log_root.py
        $<TARGET_FILE:write_sealed_log>)
  endif()
endif()
