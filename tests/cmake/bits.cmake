# What must not reach a bit, seen from outside: the tools' log root.
add_test(NAME bits.log_root COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/log_root_is_one.sh ${PROJECT_BINARY_DIR}/bin
  ${PROJECT_SOURCE_DIR}/scripts/demo.d)

foreach(family IN ITEMS qwen2 qwen3 gpt2)
  add_test(NAME bits.log_root.${family} COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/log_root_is_one.sh
    ${PROJECT_BINARY_DIR}/bin ${PROJECT_SOURCE_DIR}/scripts/demo.d ${family})
endforeach()

foreach(family IN ITEMS vit dinov2 dinov2-swiglu)
  add_test(NAME bits.log_root.${family} COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/log_root_is_one.sh
    ${PROJECT_BINARY_DIR}/bin ${PROJECT_SOURCE_DIR}/scripts/demo.d ${family})
endforeach()

add_test(NAME bits.leaves COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/leaves_are_known.sh ${PROJECT_BINARY_DIR}/bin
  ${PROJECT_SOURCE_DIR}/scripts/demo.d)
