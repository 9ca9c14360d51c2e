# For tests/parity/chat_parity.py, which compares us with transformers on random conversations.
add_executable(chat_cli ${CMAKE_CURRENT_SOURCE_DIR}/chat_cli.cpp)
target_link_libraries(chat_cli PRIVATE aftune_serve)
aftune_python_has(has_chat_templates transformers jinja2)
if(has_chat_templates)
  set(folders "")
  foreach(folder IN ITEMS llama3 qwen3)
    if(EXISTS "${AFTUNE_SHARED}/tokenizers/${folder}/tokenizer_config.json")
      list(APPEND folders "${AFTUNE_SHARED}/tokenizers/${folder}")
    endif()
  endforeach()
  add_test(NAME parity.chat
    COMMAND ${AFTUNE_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/parity/chat_parity.py --cli $<TARGET_FILE:chat_cli>
      --count 1000 ${folders})
endif()
