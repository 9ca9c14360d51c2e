# The corpora of the fuzz targets, replayed: no clang is needed.
add_subdirectory(${CMAKE_CURRENT_SOURCE_DIR}/fuzz)
