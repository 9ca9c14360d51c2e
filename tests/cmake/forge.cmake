# The lying provider of the demo. Not installed.
add_executable(forge-snapshot ${CMAKE_CURRENT_SOURCE_DIR}/forge/forge_snapshot.cpp)
target_link_libraries(forge-snapshot PRIVATE aftune_model aftune_trace aftune_seal)
set_target_properties(forge-snapshot PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
# And that of a disputed cell.
add_executable(forge-ops ${CMAKE_CURRENT_SOURCE_DIR}/forge/forge_ops.cpp)
target_link_libraries(forge-ops PRIVATE aftune_audit)
set_target_properties(forge-ops PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
