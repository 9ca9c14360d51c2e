# The tools as their users meet them: answers to good and bad use, manual pages, JSON against its schemas.
set(cli ${CMAKE_CURRENT_SOURCE_DIR}/cli)
set(fixture ${CMAKE_CURRENT_BINARY_DIR}/cli-fixture)
add_test(NAME cli.fixture
  COMMAND ${cli}/make_fixture ${PROJECT_BINARY_DIR}/bin ${PROJECT_SOURCE_DIR}/scripts/demo.d ${fixture})
set_tests_properties(cli.fixture PROPERTIES FIXTURES_SETUP cli LABELS sanitize)

foreach(tool IN ITEMS key train serve commit challenge open verify inspect)
  add_test(NAME cli.${tool} COMMAND ${cli}/run ${PROJECT_BINARY_DIR}/bin ${fixture} aftune-${tool})
  set_tests_properties(cli.${tool} PROPERTIES FIXTURES_REQUIRED cli LABELS sanitize)
endforeach()

find_package(Python3 REQUIRED COMPONENTS Interpreter)
find_program(AFTUNE_MANDOC mandoc)
if(AFTUNE_MANDOC)
  file(GLOB pages CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/man/*)
  foreach(page IN LISTS pages)
    get_filename_component(name ${page} NAME)
    add_test(NAME man.${name}
      COMMAND ${Python3_EXECUTABLE} ${cli}/check_man.py ${page} ${PROJECT_BINARY_DIR}/bin ${fixture})
    set_tests_properties(man.${name} PROPERTIES FIXTURES_REQUIRED cli)
  endforeach()
endif()

aftune_python_has(has_jsonschema jsonschema)
if(has_jsonschema)
  add_test(NAME cli.json
    COMMAND ${AFTUNE_PYTHON} ${cli}/check_json.py ${PROJECT_SOURCE_DIR}/schemas ${PROJECT_BINARY_DIR}/bin ${fixture})
  set_tests_properties(cli.json PROPERTIES FIXTURES_REQUIRED cli)
endif()

add_test(NAME layout.includes
  COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/check_includes.py ${PROJECT_SOURCE_DIR}
    ${CMAKE_CURRENT_BINARY_DIR}/module-needs.txt)
