# tandem_room(NAME SOURCES ... USES rooms... LINKS libraries...)
# One room of src/. Its headers are included as "name/file.h", through a link of its own under
# build/rooms/NAME, so that a room sees the headers of the rooms it USES and of no other.
function(tandem_room NAME)
  cmake_parse_arguments(ROOM "" "" "SOURCES;USES;LINKS;PRIVATE_LINKS" ${ARGN})
  set(view ${CMAKE_BINARY_DIR}/rooms/${NAME})
  file(MAKE_DIRECTORY ${view})
  file(CREATE_LINK ${CMAKE_SOURCE_DIR}/src/${NAME} ${view}/${NAME} SYMBOLIC)
  if(ROOM_SOURCES)
    add_library(tandem_${NAME} STATIC ${ROOM_SOURCES})
    set(scope PUBLIC)
    target_link_libraries(tandem_${NAME} PRIVATE tandem_warnings ${ROOM_PRIVATE_LINKS})
  else()
    add_library(tandem_${NAME} INTERFACE)
    set(scope INTERFACE)
  endif()
  target_include_directories(tandem_${NAME} ${scope} ${CMAKE_SOURCE_DIR}/include ${view})
  list(TRANSFORM ROOM_USES PREPEND tandem_)
  target_link_libraries(tandem_${NAME} ${scope} ${ROOM_USES} ${ROOM_LINKS})
endfunction()

# tandem_test(NAME SOURCES ... USES rooms... LINKS ... LABELS ggml|slow): one GoogleTest program, its cases listed in
# ctest. Besides its room's name a test has one label at most (CONTRIBUTING.md): GoogleTest's module loses the second.
function(tandem_test NAME)
  cmake_parse_arguments(TEST "" "" "SOURCES;USES;LINKS;LABELS" ${ARGN})
  list(LENGTH TEST_LABELS n_labels)
  if(n_labels GREATER 1)
    message(FATAL_ERROR "test_${NAME}: expected one label at most, got ${TEST_LABELS}; 'slow' covers 'ggml'")
  endif()
  add_executable(test_${NAME} ${TEST_SOURCES})
  list(TRANSFORM TEST_USES PREPEND tandem_)
  target_include_directories(test_${NAME} PRIVATE ${CMAKE_SOURCE_DIR}/tests)
  target_compile_definitions(test_${NAME} PRIVATE TANDEM_TEST_DIR="${CMAKE_SOURCE_DIR}/tests"
                             TANDEM_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  target_link_libraries(test_${NAME} PRIVATE tandem_warnings ${TEST_USES} ${TEST_LINKS} GTest::gtest
                        GTest::gmock GTest::gtest_main)
  gtest_discover_tests(test_${NAME} DISCOVERY_TIMEOUT 60 PROPERTIES LABELS "${TEST_LABELS}")
endfunction()
