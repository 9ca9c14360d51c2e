# What other people's programs say of our files and our training, where AFTUNE_PYTHON has their packages.
aftune_python_has(has_digest_packages h5py numpy blake3)
if(has_digest_packages)
  add_test(NAME independent.tensor_digests
    COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/independent/check_tensor_digests.sh ${AFTUNE_PYTHON} ${PROJECT_BINARY_DIR}/bin
      $<TARGET_FILE_DIR:h5zstd> ${CMAKE_CURRENT_BINARY_DIR}/cli-fixture)
  add_test(NAME independent.evidence
    COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/independent/check_evidence.sh ${AFTUNE_PYTHON} ${PROJECT_BINARY_DIR}/bin
      $<TARGET_FILE_DIR:h5zstd> ${CMAKE_CURRENT_BINARY_DIR}/cli-fixture)
  set_tests_properties(independent.tensor_digests independent.evidence PROPERTIES FIXTURES_REQUIRED cli)
  add_test(NAME independent.images
    COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/independent/check_images.sh ${AFTUNE_PYTHON} ${PROJECT_BINARY_DIR}/bin
      $<TARGET_FILE_DIR:h5zstd>)
endif()

add_executable(write_logits write_logits.cpp)
target_link_libraries(write_logits PRIVATE aftune_train)
add_executable(write_step write_step.cpp)
target_link_libraries(write_step PRIVATE aftune_train)
target_include_directories(write_step PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
target_compile_definitions(write_step PRIVATE AFTUNE_TESTS_DIR="${CMAKE_CURRENT_SOURCE_DIR}")
add_executable(write_image_step write_image_step.cpp)
target_link_libraries(write_image_step PRIVATE aftune_train)
aftune_python_has(has_transformers torch transformers)
if(has_transformers)
  add_test(NAME parity.families
    COMMAND ${AFTUNE_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/parity/family_parity.py ${PROJECT_BINARY_DIR}/bin
      $<TARGET_FILE:write_step> ${PROJECT_SOURCE_DIR}/scripts/demo.d/tokenizer.json)
  aftune_python_has(has_peft peft)
  if(has_peft)
    add_test(NAME parity.lora
      COMMAND ${AFTUNE_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/parity/lora_parity.py ${PROJECT_BINARY_DIR}/bin
        $<TARGET_FILE:write_step> ${PROJECT_SOURCE_DIR}/scripts/demo.d/tokenizer.json)
    add_test(NAME parity.images
      COMMAND ${AFTUNE_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/parity/image_parity.py ${PROJECT_BINARY_DIR}/bin
        $<TARGET_FILE:write_image_step>)
  endif()
  set(stories ${AFTUNE_SHARED}/models/stories260k)
  set(models ${CMAKE_CURRENT_BINARY_DIR}/cli-fixture/bare/model)
  if(EXISTS ${stories}/model.safetensors)
    list(APPEND models ${stories})
  endif()
  add_test(NAME independent.export_loads
    COMMAND ${AFTUNE_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/independent/export_loads.py ${PROJECT_BINARY_DIR}/bin
      $<TARGET_FILE:write_logits> ${models})
  set_tests_properties(independent.export_loads PROPERTIES FIXTURES_REQUIRED cli)
  if(EXISTS ${stories}/model.safetensors)
    add_test(NAME parity.generate
      COMMAND ${AFTUNE_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/parity/generate_parity.py
        ${PROJECT_BINARY_DIR}/bin/aftune-serve ${stories})
  endif()
  if(EXISTS ${stories}/model.safetensors AND EXISTS ${AFTUNE_SHARED}/data/tinyshakespeare.txt)
    add_test(NAME parity.stories
      COMMAND ${AFTUNE_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/parity/stories_parity.py ${PROJECT_BINARY_DIR}/bin/aftune-train
        ${stories} --text ${AFTUNE_SHARED}/data/tinyshakespeare.txt)
  endif()
endif()
