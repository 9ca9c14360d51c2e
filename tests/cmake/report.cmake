# Reports, as other programs read them: XML and envelopes with parsers that are not ours, pages in a real browser.
set(report_fixture ${CMAKE_CURRENT_BINARY_DIR}/cli-fixture)
add_test(NAME independent.junit
  COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/independent/junit_reads.py ${PROJECT_BINARY_DIR}/bin
    ${report_fixture})
set_tests_properties(independent.junit PROPERTIES FIXTURES_REQUIRED cli)

aftune_python_has(has_cryptography cryptography)
aftune_python_has(has_nacl nacl)
if(has_cryptography OR has_nacl)
  add_test(NAME independent.attestation
    COMMAND ${AFTUNE_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/independent/check_attestation.py ${PROJECT_BINARY_DIR}/bin
      ${report_fixture})
  set_tests_properties(independent.attestation PROPERTIES FIXTURES_REQUIRED cli)
endif()

find_program(AFTUNE_CHROMIUM NAMES chromium chromium-browser google-chrome)
if(AFTUNE_CHROMIUM)
  add_test(NAME html.pages
    COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/html/check_page.py ${AFTUNE_CHROMIUM}
      ${PROJECT_BINARY_DIR}/bin ${report_fixture})
  set_tests_properties(html.pages PROPERTIES FIXTURES_REQUIRED cli TIMEOUT 300)
endif()
