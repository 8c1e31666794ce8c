# How everything is compiled.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Release, Debug or RelWithDebInfo" FORCE)
endif()

# Bit-identical results on one instruction set: no contraction into FMA behind the author's back.
add_compile_options(-Wall -Wextra -fno-math-errno -ffp-contract=off)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  add_compile_options(-march=x86-64-v2)  # wider instruction sets are chosen at run time
endif()
if(QTOOL_WARNINGS_AS_ERRORS AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  add_compile_options(-Werror)  # a newer compiler has new warnings, which must not stop a user's build
endif()
if(QTOOL_SANITIZE)
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
  # Nearly all of it is ONNX's headers, which take minutes under the sanitizers.
  set_source_files_properties(src/onnx/converter.cpp PROPERTIES COMPILE_OPTIONS -fno-sanitize=all)
endif()

find_program(QTOOL_CCACHE ccache)
if(QTOOL_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${QTOOL_CCACHE})
endif()
