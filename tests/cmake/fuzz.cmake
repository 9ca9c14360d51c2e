# The corpora of the fuzz targets, replayed: no clang is needed.
add_subdirectory(${CMAKE_CURRENT_SOURCE_DIR}/fuzz)
# The same inputs are given to the reader of foreign segments.
target_link_libraries(test_trace PRIVATE fuzz_support)
