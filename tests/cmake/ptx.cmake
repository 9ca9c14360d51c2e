# The text of the PTX says whether nvcc kept to the arithmetic; no GPU is needed to read it.
if(TARGET aftune_kernels_ptx)
  find_package(Python3 REQUIRED COMPONENTS Interpreter)
  add_test(NAME cuda.ptx
    COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/ptx_check.py $<TARGET_OBJECTS:aftune_kernels_ptx>
    COMMAND_EXPAND_LISTS)
endif()
