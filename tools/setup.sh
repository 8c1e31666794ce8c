#!/usr/bin/env bash
# Installs what the build needs: packages of the distribution, a new enough CMake, and ONNX as static library.
# usage: tools/setup.sh        as root or with sudo; a second run finds everything and does nothing
#
# Packages come from apt and PyPI only. CMake and ONNX go into the cache folder:
# QTOOL_CACHE, else XDG_CACHE_HOME/qtool, else ~/.cache/qtool. QTOOL_SKIP_PACKAGES=1 leaves the packages to you.
set -euo pipefail

readonly cmake_version=3.31.6
readonly cmake_minimum=3.26      # of ONNX's own build
readonly onnx_version=1.23.2
readonly onnx_sha256=008cb0467b2bbee41448acc7da8b6f4e704624cb0d327a2d5adafc7ce19bc5b8
readonly packages=(
  libdnnl-dev ocl-icd-opencl-dev libprotobuf-dev protobuf-compiler libcli11-dev libspdlog-dev
  nlohmann-json3-dev libgtest-dev libbenchmark-dev libstb-dev libjpeg-dev zlib1g-dev libre2-dev
  libeigen3-dev libglpk-dev ninja-build ccache g++ python3 python3-venv python3-pip pkg-config git
  ca-certificates)

readonly cache=${QTOOL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/qtool}
readonly prefix=$cache/onnx-$onnx_version

say() { printf 'setup: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# --- packages ------------------------------------------------------------------------------------

missing_packages() {
  local installed
  installed=$(dpkg-query -W -f='${Package} ${db:Status-Status}\n' "${packages[@]}" 2>/dev/null |
    awk '$2 == "installed" {print $1}') || true
  printf '%s\n' "${packages[@]}" | grep -vxF -f <(printf '%s\n' "$installed") || true
}

install_packages() {
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    say "this is not Debian or Ubuntu. Install the counterparts of these packages by hand,"
    say "then start again with QTOOL_SKIP_PACKAGES=1:"
    die "${packages[*]}"
  fi
  local missing
  mapfile -t missing < <(missing_packages)
  [ ${#missing[@]} -gt 0 ] || return 0

  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || die "root or sudo is needed once, for: apt-get install ${missing[*]}"
    as_root=(sudo)
  fi
  as_root+=(env DEBIAN_FRONTEND=noninteractive)

  say "apt: ${missing[*]}"
  local log start=$SECONDS unknown=() package
  log=$(mktemp)
  "${as_root[@]}" apt-get update >"$log" 2>&1 || { cat "$log" >&2; die "apt-get update failed"; }
  for package in "${missing[@]}"; do
    apt-cache show "$package" >/dev/null 2>&1 || unknown+=("$package")
  done
  if [ ${#unknown[@]} -gt 0 ]; then
    die "this distribution has no package ${unknown[*]} (Debian 12 and Ubuntu 22.04, with universe, or newer have them)"
  fi
  "${as_root[@]}" apt-get install -y --no-install-recommends "${missing[@]}" >"$log" 2>&1 ||
    { tail -n 30 "$log" >&2; die "apt-get install failed"; }
  rm -f "$log"
  say "apt: done in $((SECONDS - start)) s"
}

# --- CMake ---------------------------------------------------------------------------------------

at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }

# Prints the folder of a CMake that is new enough, or nothing.
cmake_folder() {
  local found version
  for found in "$cache/venv/bin/cmake" "$(command -v cmake || true)"; do
    [ -x "$found" ] || continue
    version=$("$found" --version 2>/dev/null | awk 'NR == 1 {print $3}') || continue
    if [ -n "$version" ] && at_least $cmake_minimum "$version"; then dirname "$found"; return; fi
  done
}

install_cmake() {
  [ -z "$(cmake_folder)" ] || return 0
  local start=$SECONDS
  rm -rf "$cache/venv"
  python3 -m venv "$cache/venv"
  "$cache/venv/bin/python" -m pip install -q --no-deps "cmake==$cmake_version"
  say "CMake $cmake_version from PyPI in $cache/venv: done in $((SECONDS - start)) s"
}

# --- ONNX ----------------------------------------------------------------------------------------

# What the library was built against: another protobuf needs another build.
build_identity() { printf 'protobuf %s\n' "$(pkg-config --modversion protobuf)"; }

onnx_is_installed() { [ "$(cat "$prefix/built-against" 2>/dev/null)" = "$(build_identity)" ]; }

# Builds in a temporary folder and renames the result, so that what is in place is always complete.
install_onnx() {
  ! onnx_is_installed || return 0
  local start=$SECONDS source log launcher=()
  rm -rf "$cache"/build.*      # of a run that was killed
  work=$(mktemp -d "$cache/build.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  trap 'exit 130' INT TERM
  log=$work/log
  say "ONNX $onnx_version from PyPI: building, about 3 minutes on two cores"
  (
    cd "$work"
    printf 'onnx==%s --hash=sha256:%s\n' "$onnx_version" "$onnx_sha256" >requirements.txt
    python3 -m pip download --no-deps --no-binary onnx --require-hashes -r requirements.txt -d .
    tar xzf "onnx-$onnx_version.tar.gz"
    ! command -v ccache >/dev/null || launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
    export PATH="$(cmake_folder):$PATH"
    # Fails at once where protobuf is missing; ONNX alone would look for its source on the network.
    printf 'find_package(Protobuf REQUIRED)\n' >require-protobuf.cmake
    cmake -S "onnx-$onnx_version" -B build -G Ninja "${launcher[@]}" \
      -DCMAKE_BUILD_TYPE=Release -DCMAKE_POSITION_INDEPENDENT_CODE=ON -DBUILD_SHARED_LIBS=OFF \
      -DCMAKE_INSTALL_PREFIX="$work/prefix" -DCMAKE_INSTALL_LIBDIR=lib -DFETCHCONTENT_FULLY_DISCONNECTED=ON \
      -DCMAKE_PROJECT_onnx_INCLUDE="$work/require-protobuf.cmake" \
      -DONNX_NAMESPACE=onnx -DONNX_ML=ON -DONNX_USE_LITE_PROTO=OFF -DONNX_USE_PROTOBUF_SHARED_LIBS=ON \
      -DONNX_USE_UNITY_BUILD=ON -DONNX_BUILD_PYTHON=OFF -DONNX_BUILD_TESTS=OFF
    cmake --build build -j "$(nproc)"
    cmake --install build
    build_identity >prefix/built-against
  ) >"$log" 2>&1 || { tail -n 40 "$log" >&2; die "building ONNX failed"; }
  rm -rf "$prefix"
  mv "$work/prefix" "$prefix"
  rm -rf "$work"
  trap - EXIT INT TERM
  say "ONNX $onnx_version in $prefix: done in $((SECONDS - start)) s"
}

# -------------------------------------------------------------------------------------------------

mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9      # two runs at once wait for each other
[ -n "${QTOOL_SKIP_PACKAGES:-}" ] || install_packages
install_cmake
install_onnx
say "everything is in place (${SECONDS} s)"
