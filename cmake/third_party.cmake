# The packages that tools/setup.sh installs. ONNX comes from its cache folder, or from QTOOL_ONNX_PREFIX.
if(DEFINED ENV{QTOOL_ONNX_PREFIX})
  set(onnx_prefix "$ENV{QTOOL_ONNX_PREFIX}")
elseif(DEFINED ENV{QTOOL_CACHE})
  set(onnx_prefix "$ENV{QTOOL_CACHE}/onnx-1.23.2")
elseif(DEFINED ENV{XDG_CACHE_HOME})
  set(onnx_prefix "$ENV{XDG_CACHE_HOME}/qtool/onnx-1.23.2")
else()
  set(onnx_prefix "$ENV{HOME}/.cache/qtool/onnx-1.23.2")
endif()

find_package(Threads REQUIRED)
find_package(Protobuf REQUIRED)  # before ONNX, whose targets name protobuf::libprotobuf
find_package(ONNX 1.23 CONFIG HINTS "${onnx_prefix}")
if(NOT ONNX_FOUND)
  message(FATAL_ERROR "ONNX is not in ${onnx_prefix}: run tools/setup.sh first")
endif()
find_package(dnnl REQUIRED CONFIG)
find_package(OpenMP REQUIRED COMPONENTS CXX)
find_package(spdlog REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
find_package(ZLIB REQUIRED)
find_package(JPEG REQUIRED)

find_path(STB_INCLUDE_DIR stb/stb_image.h REQUIRED)
add_library(qtool_stb INTERFACE)
target_include_directories(qtool_stb SYSTEM INTERFACE ${STB_INCLUDE_DIR})

# For the tests of the solvers alone.
find_library(GLPK_LIBRARY glpk REQUIRED)
add_library(qtool_glpk INTERFACE)
target_link_libraries(qtool_glpk INTERFACE ${GLPK_LIBRARY})
target_compile_definitions(qtool_glpk INTERFACE QTOOL_HAVE_GLPK)
