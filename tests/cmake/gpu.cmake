# The kernels for CUDA, run without a GPU: compiled as plain C++ against the cuda_runtime.h of tests/gpu/emulator, which
# makes every thread of a block a fiber. See tests/gpu/emulator/emulator.h for what this can show.
file(GLOB gpu_tests CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/gpu/*_test.cpp)
if(NOT CMAKE_CROSSCOMPILING)
  find_package(Boost COMPONENTS context)
endif()

# For the test that trains.
function(runs_jobs test)
  target_link_libraries(${test} PRIVATE aftune_train)
  target_compile_definitions(${test} PRIVATE
    AFTUNE_TESTS_DIR="${CMAKE_CURRENT_SOURCE_DIR}" AFTUNE_SCRATCH_DIR="${CMAKE_CURRENT_BINARY_DIR}")
endfunction()

if(Boost_FOUND)
  set(emulator ${CMAKE_CURRENT_SOURCE_DIR}/gpu/emulator)
  add_library(cuda_emulator STATIC ${emulator}/emulator.cpp ${emulator}/block.cpp ${emulator}/cuda_runtime.cpp
    ${emulator}/streams.cpp)
  target_include_directories(cuda_emulator PUBLIC ${emulator} ${CMAKE_CURRENT_SOURCE_DIR})
  target_link_libraries(cuda_emulator PRIVATE Boost::context Threads::Threads)
  if(AFTUNE_SANITIZE MATCHES "thread")
    set_source_files_properties(${emulator}/emulator.cpp ${emulator}/block.cpp PROPERTIES
      COMPILE_OPTIONS -fno-sanitize=thread COMPILE_DEFINITIONS AFTUNE_EMULATOR_TSAN)
  endif()

  # What stands in for cuBLAS, opened at run time as that is.
  add_library(cublas_emulated SHARED ${emulator}/cublas.cpp)
  target_include_directories(cublas_emulated PRIVATE ${emulator} ${CMAKE_CURRENT_SOURCE_DIR})
  # It knows the device's types only.
  set_target_properties(cublas_emulated PROPERTIES DISABLE_PRECOMPILE_HEADERS ON)
  set(with_cublas "AFTUNE_CUBLAS=$<TARGET_FILE:cublas_emulated>")

  file(GLOB cuda_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/kernels/cuda/*.cu)
  set_source_files_properties(${cuda_sources} PROPERTIES LANGUAGE CXX)
  file(GLOB cuda_host_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/kernels/cuda/*.cpp)
  add_library(kernels_emulated STATIC ${cuda_sources} ${cuda_host_sources})
  # Their namespace is that of the code that nvcc makes.
  target_compile_definitions(kernels_emulated PRIVATE AFTUNE_ISA_NAMESPACE=cuda)
  target_include_directories(kernels_emulated PUBLIC ${PROJECT_SOURCE_DIR}/libaftune ${PROJECT_SOURCE_DIR})
  target_link_libraries(kernels_emulated PUBLIC cuda_emulator aftune_kernels ${CMAKE_DL_LIBS})

  # Neither has the definitions that the precompiled headers were compiled with.
  set_target_properties(cuda_emulator kernels_emulated PROPERTIES DISABLE_PRECOMPILE_HEADERS ON)

  foreach(source IN LISTS gpu_tests)
    get_filename_component(name ${source} NAME_WE)
    string(REGEX REPLACE "_test$" "" name ${name})
    add_executable(test_gpu_${name} ${source})
    target_link_libraries(test_gpu_${name} PRIVATE kernels_emulated aftune_hash GTest::gtest GTest::gtest_main)
    add_test(NAME gpu.${name} COMMAND test_gpu_${name} --gtest_brief=1 ${sanitized_gpu_${name}})
    set_tests_properties(gpu.${name} PROPERTIES LABELS "sanitize;threads" ENVIRONMENT "${with_cublas}")
    add_dependencies(test_gpu_${name} cublas_emulated)
    add_dependencies(threaded-tests test_gpu_${name})
  endforeach()
  runs_jobs(test_gpu_device)
  add_test(NAME gpu.device_without_cublas
    COMMAND test_gpu_device --gtest_brief=1 --gtest_filter=*LeavesTheSameLog/i141024)
  set_tests_properties(gpu.device_without_cublas PROPERTIES ENVIRONMENT AFTUNE_CUBLAS=/nowhere/libcublas.so)

  # What a provider of native runs can try, on that device.
  set(attacks ${CMAKE_CURRENT_SOURCE_DIR}/attacks)
  add_executable(test_attacks_native ${attacks}/native/native_test.cpp
    ${attacks}/answer.cpp ${attacks}/forgery.cpp ${attacks}/recorded_run.cpp ${attacks}/main.cpp)
  target_link_libraries(test_attacks_native PRIVATE kernels_emulated aftune_audit GTest::gtest)
  target_compile_definitions(test_attacks_native PRIVATE AFTUNE_SCRATCH_DIR="${CMAKE_CURRENT_BINARY_DIR}")
  add_dependencies(test_attacks_native cublas_emulated)
  add_test(NAME attacks.native COMMAND test_attacks_native --gtest_brief=1 --gtest_filter=Native*)
  set_tests_properties(attacks.native PROPERTIES ENVIRONMENT "${with_cublas}" TIMEOUT 900)

  # The tools with that device in the place of a GPU, and a run that is trained, served and verified on both.
  if(NOT AFTUNE_SANITIZE)
    add_library(device_emulated STATIC ${PROJECT_SOURCE_DIR}/libaftune/device/device.cpp)
    target_compile_definitions(device_emulated PRIVATE AFTUNE_HAS_CUDA=1)
    target_link_libraries(device_emulated PUBLIC kernels_emulated aftune_tensor)
    set(emulated_bin ${CMAKE_CURRENT_BINARY_DIR}/emulated)
    foreach(tool train serve open verify inspect)
      add_executable(emulated_${tool})
      target_link_libraries(emulated_${tool} PRIVATE aftune-${tool}-main device_emulated)
      set_target_properties(emulated_${tool} PROPERTIES
        RUNTIME_OUTPUT_DIRECTORY ${emulated_bin} OUTPUT_NAME aftune-${tool})
    endforeach()
    add_test(NAME gpu.tools COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/gpu/tools_agree.sh
      ${PROJECT_BINARY_DIR}/bin ${emulated_bin} ${PROJECT_SOURCE_DIR}/scripts/demo.d)
    add_test(NAME gpu.native_tools COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/gpu/native_tools.sh
      ${PROJECT_BINARY_DIR}/bin ${emulated_bin} ${PROJECT_SOURCE_DIR}/scripts/demo.d)
    set_tests_properties(gpu.tools PROPERTIES ENVIRONMENT AFTUNE_EMULATED_PUT_OFF=1)
    set_tests_properties(gpu.native_tools PROPERTIES ENVIRONMENT "AFTUNE_EMULATED_PUT_OFF=1;${with_cublas}")
  endif()
else()
  message(STATUS "CUDA kernels: not tested, for want of Boost.Context (libboost-context-dev)")
endif()

# The same tests for a GPU, where nvcc is found; without a GPU they are skipped.
if(AFTUNE_HAS_CUDA)
  add_test(NAME cuda.is_linked_in COMMAND sh -c "! ldd ${PROJECT_BINARY_DIR}/bin/aftune-* | grep -iE 'cuda|cublas|nvidia'")
  list(FILTER gpu_tests EXCLUDE REGEX "emulator_test")
  foreach(source IN LISTS gpu_tests)
    get_filename_component(name ${source} NAME_WE)
    string(REGEX REPLACE "_test$" "" name ${name})
    add_executable(test_cuda_${name} ${source} ${CMAKE_CURRENT_SOURCE_DIR}/gpu/on_gpu_main.cpp)
    target_compile_definitions(test_cuda_${name} PRIVATE AFTUNE_ON_GPU)
    target_include_directories(test_cuda_${name} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
    target_link_libraries(test_cuda_${name} PRIVATE aftune_kernels_cuda aftune_hash GTest::gtest)
    add_test(NAME cuda.${name} COMMAND test_cuda_${name} --gtest_brief=1)
    set_tests_properties(cuda.${name} PROPERTIES LABELS gpu SKIP_RETURN_CODE 77)
  endforeach()
  runs_jobs(test_cuda_device)
endif()
