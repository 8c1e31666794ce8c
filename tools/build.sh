# Sourced by the other scripts, from the root of the project: sets up and builds the release preset.
readonly jobs=$(nproc)
export PATH="${QTOOL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/qtool}/venv/bin:$PATH"   # the CMake of tools/setup.sh

build_release() {  # build_release TARGET
  tools/setup.sh
  local start=$SECONDS log
  log=$(mktemp)
  { cmake --preset release && cmake --build --preset release --target "$1" -j "$jobs"; } >"$log" 2>&1 ||
    { tail -n 60 "$log" >&2; echo "build: failed" >&2; return 1; }
  rm -f "$log"
  echo "build: release is up to date in build/release ($((SECONDS - start)) s)" >&2
}
