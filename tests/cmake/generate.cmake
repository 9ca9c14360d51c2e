# Published tokenizers that are not part of this project, where a folder of them is at hand.
if(EXISTS "${AFTUNE_SHARED}/tokenizers/llama3/tokenizer.json" AND
   EXISTS "${AFTUNE_SHARED}/tokenizers/qwen3/tokenizer.json" AND
   EXISTS "${AFTUNE_SHARED}/models/stories260k/tokenizer.json")
  add_executable(test_real_detokenizer ${CMAKE_CURRENT_SOURCE_DIR}/real/detokenizer_test.cpp)
  target_link_libraries(test_real_detokenizer PRIVATE aftune_generate GTest::gtest GTest::gtest_main)
  target_include_directories(test_real_detokenizer PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
  target_compile_definitions(test_real_detokenizer PRIVATE AFTUNE_SHARED_DIR="${AFTUNE_SHARED}")
  add_test(NAME real.detokenizer COMMAND test_real_detokenizer --gtest_brief=1)
endif()
