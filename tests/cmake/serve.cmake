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

# The server, over HTTP.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
foreach(client IN ITEMS http openai)
  if(client STREQUAL "openai")
    aftune_python_has(has_client openai)
    set(python ${AFTUNE_PYTHON})
  else()
    set(has_client TRUE)
    set(python ${Python3_EXECUTABLE})
  endif()
  if(has_client)
    add_test(NAME serve.${client}
      COMMAND ${python} ${CMAKE_CURRENT_SOURCE_DIR}/serve/${client}_test.py ${PROJECT_BINARY_DIR}/bin
        ${PROJECT_SOURCE_DIR}/scripts/demo.d ${CMAKE_CURRENT_BINARY_DIR}/serve-${client})
  endif()
endforeach()
