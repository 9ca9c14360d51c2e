# For tests/parity/tokenizer_parity.py, which compares us with the Hugging Face package on random texts.
add_executable(tokenizer_cli ${CMAKE_CURRENT_SOURCE_DIR}/tokenizer_cli.cpp)
target_link_libraries(tokenizer_cli PRIVATE aftune_tokenizer)

# Published tokenizers that are not part of this project, where a folder of them is at hand.
if(EXISTS "${AFTUNE_SHARED}/tokenizers/llama3/tokenizer.json" AND
   EXISTS "${AFTUNE_SHARED}/tokenizers/qwen3/tokenizer.json" AND
   EXISTS "${AFTUNE_SHARED}/models/stories260k/tokenizer.json")
  add_executable(test_real_tokenizers ${CMAKE_CURRENT_SOURCE_DIR}/real/tokenizer_test.cpp)
  target_link_libraries(test_real_tokenizers PRIVATE aftune_tokenizer GTest::gtest GTest::gtest_main)
  target_compile_definitions(test_real_tokenizers PRIVATE AFTUNE_SHARED_DIR="${AFTUNE_SHARED}")
  add_test(NAME real.tokenizers COMMAND test_real_tokenizers --gtest_brief=1)
endif()
