# A layer x is a static library of src/x/, its tests one executable of tests/x/.
define_property(GLOBAL PROPERTY QTOOL_LAYERS BRIEF_DOCS "all layers" FULL_DOCS "in order of dependency")

# qtool_layer(<name> [DEPS <layer>...] [THIRD_PARTY <target>...] [TESTS <layer>...])
function(qtool_layer name)
  cmake_parse_arguments(ARG "" "" "DEPS;THIRD_PARTY;TESTS" ${ARGN})
  set_property(GLOBAL APPEND PROPERTY QTOOL_LAYERS ${name})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/${name}/*.cpp)
  if(NOT sources)  # a layer may still be headers alone
    set(sources ${PROJECT_BINARY_DIR}/empty.cpp)
    file(CONFIGURE OUTPUT ${sources} CONTENT "")
  endif()
  list(TRANSFORM ARG_DEPS PREPEND qtool_)
  list(TRANSFORM ARG_TESTS PREPEND qtool_)
  add_library(qtool_${name} STATIC ${sources})
  target_include_directories(qtool_${name} PUBLIC ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src)
  target_link_libraries(qtool_${name} PUBLIC ${ARG_DEPS} Threads::Threads
                        PRIVATE ${ARG_THIRD_PARTY} nlohmann_json::nlohmann_json)
  set_target_properties(qtool_${name} PROPERTIES QTOOL_TEST_LIBRARIES "${ARG_TESTS}")
endfunction()

# The library that is installed: all layers in one archive, with a CMake package.
function(qtool_library)
  include(GNUInstallDirs)
  include(CMakePackageConfigHelpers)
  get_property(layers GLOBAL PROPERTY QTOOL_LAYERS)
  list(TRANSFORM layers REPLACE "(.+)" "$<TARGET_OBJECTS:qtool_\\1>" OUTPUT_VARIABLE objects)
  add_library(qtool STATIC ${objects})
  add_library(qtool::qtool ALIAS qtool)
  set_target_properties(qtool PROPERTIES LINKER_LANGUAGE CXX)
  target_compile_features(qtool PUBLIC cxx_std_20)
  target_include_directories(qtool PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
                                          $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_link_libraries(qtool PRIVATE spdlog::spdlog ONNX::onnx ZLIB::ZLIB JPEG::JPEG PkgConfig::RE2 DNNL::dnnl
                                      OpenMP::OpenMP_CXX Threads::Threads)

  set(package ${CMAKE_INSTALL_LIBDIR}/cmake/qtool)
  install(TARGETS qtool EXPORT qtool ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/qtool DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
  install(EXPORT qtool NAMESPACE qtool:: FILE qtoolTargets.cmake DESTINATION ${package})
  configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/qtoolConfig.cmake.in
                                ${PROJECT_BINARY_DIR}/qtoolConfig.cmake INSTALL_DESTINATION ${package})
  write_basic_package_version_file(${PROJECT_BINARY_DIR}/qtoolConfigVersion.cmake
                                   COMPATIBILITY SameMinorVersion)
  install(FILES ${PROJECT_BINARY_DIR}/qtoolConfig.cmake ${PROJECT_BINARY_DIR}/qtoolConfigVersion.cmake
          DESTINATION ${package})
endfunction()

# The program: a client of the public headers only.
function(qtool_command_line)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tools/qtool/*.cpp)
  if(NOT sources)
    return()
  endif()
  add_executable(qtool_cli ${sources})
  set_target_properties(qtool_cli PROPERTIES OUTPUT_NAME qtool)
  target_include_directories(qtool_cli PRIVATE ${PROJECT_SOURCE_DIR}/tools)
  target_link_libraries(qtool_cli PRIVATE qtool CLI11::CLI11 nlohmann_json::nlohmann_json)
  # CLI11 takes 7 s a file at -O3, 3 s like this.
  target_compile_options(qtool_cli PRIVATE $<$<CONFIG:Release>:-O1>)
  target_precompile_headers(qtool_cli PRIVATE <CLI/CLI.hpp>)
  install(TARGETS qtool_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endfunction()

# Micro-benchmarks: another client of the public headers.
function(qtool_benchmarks)
  find_package(benchmark REQUIRED)
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tools/bench/*.cpp)
  add_executable(qtool_bench ${sources})
  target_link_libraries(qtool_bench PRIVATE qtool benchmark::benchmark)
endfunction()

# One executable of tests/<layer>/; suites whose name starts with "Slow" are labelled slow, all others fast.
function(qtool_layer_tests layer)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/${layer}/*.cpp)
  if(NOT sources)
    return()
  endif()
  add_executable(test_${layer} ${sources})
  target_include_directories(test_${layer} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  target_compile_definitions(test_${layer} PRIVATE QTOOL_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  get_target_property(extra qtool_${layer} QTOOL_TEST_LIBRARIES)
  target_link_libraries(test_${layer} PRIVATE qtool_${layer} ${extra} GTest::gtest GTest::gtest_main
                        nlohmann_json::nlohmann_json)
  target_compile_options(test_${layer} PRIVATE $<$<CONFIG:Release>:-O1>)  # a quarter less to compile
  gtest_discover_tests(test_${layer} DISCOVERY_MODE PRE_TEST TEST_FILTER "-Slow*:*/Slow*"
                       TEST_LIST fast_${layer} PROPERTIES LABELS fast TIMEOUT 120)
  gtest_discover_tests(test_${layer} DISCOVERY_MODE PRE_TEST TEST_FILTER "Slow*:*/Slow*"
                       TEST_LIST slow_${layer} PROPERTIES LABELS slow TIMEOUT 600)
endfunction()

# qtool_script_test(<name> <label> <script>): a python program, standard library only, if it exists. It finds
# the program in QTOOL and the build folder in QTOOL_BINARY_DIR.
function(qtool_script_test name label script)
  file(GLOB found CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${script})
  if(NOT found)
    return()
  endif()
  add_test(NAME ${name} COMMAND Python3::Interpreter ${found} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  set(program $<$<TARGET_EXISTS:qtool_cli>:$<TARGET_FILE:qtool_cli>>)
  set_tests_properties(${name} PROPERTIES LABELS ${label} TIMEOUT 600
    ENVIRONMENT "QTOOL=${program};QTOOL_BINARY_DIR=${PROJECT_BINARY_DIR};CMAKE=${CMAKE_COMMAND}")
endfunction()

function(qtool_tests)
  include(GoogleTest)
  find_package(GTest REQUIRED)
  find_package(Python3 COMPONENTS Interpreter REQUIRED)
  get_property(layers GLOBAL PROPERTY QTOOL_LAYERS)
  foreach(layer IN LISTS layers)
    qtool_layer_tests(${layer})
  endforeach()
  qtool_script_test(rules fast tests/rules/check.py)
  qtool_script_test(cli fast tests/cli/run.py)
  qtool_script_test(install slow tests/install/run.py)
endfunction()
