add_executable(tokenizer_cli ${CMAKE_CURRENT_SOURCE_DIR}/tokenizer_cli.cpp)
target_link_libraries(tokenizer_cli PRIVATE aftune_tokenizer)
