#!/usr/bin/env bash
# Measures what the NVIDIA GPU of this host makes of Llama 3.2 1B: 16 bit, GPTQ with every kernel that can run here, and
# GGUF through llama.cpp, within ten minutes. Leaves results/gpu-check--…/ to be committed.
#
#   test/device/run.sh            check, make the weights, measure, check the results
#   test/device/run.sh --plan     check, and say what would be measured and for how long; runs nothing
#
#   BENCH_NODE    a Node binary, where none is installed       BENCH_PYTHON  a Python with PyTorch built for CUDA
#   BENCH_CACHE   folder for weights (8 GB)                     BENCH_OUT     folder for results (default: results)
#   BENCH_SECONDS the whole time, default 600                   BENCH_MATRIX  another matrix of one model
#
# A host without Node and without a network: `npx tsx test/device/pack.ts` on another one of the same platform makes
# .device/kit.tgz, which is taken from here when Node or node_modules is missing.
#
# Ends with 0 when every cell that can run here is measured and its counters gave figures, 1 when not, 2 when something
# that it needs is missing, 124 when the time was over before the first result.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 2
limit=${BENCH_SECONDS:-600}
out=${BENCH_OUT:-results}
# In a container there may be no HOME.
cache=${BENCH_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/bench}
matrix=${BENCH_MATRIX:-test/device/gpu.yaml}
plan_only=false
# For the checks at the end, and for what an interrupted cell takes to stop.
reserve=30

case "${1:-}" in
  '') ;;
  --plan | --dry-run) plan_only=true ;;
  *) printf 'run.sh: unknown argument %s: run.sh [--plan]\n' "$1" >&2; exit 2 ;;
esac
[[ $limit =~ ^[0-9]+$ ]] || { printf 'run.sh: BENCH_SECONDS must be whole seconds, not %s\n' "$limit" >&2; exit 2; }

left() { echo $((limit - SECONDS)); }
good() { printf '  ok    %s\n' "$*"; }
note() { printf '  note  %s\n' "$*"; }
existing() { local folder=$1; until [ -d "$folder" ]; do folder=$(dirname "$folder"); done; echo "$folder"; }
missing=0
lacks() { printf '  LACKS %s\n' "$*"; missing=1; }
# The last line of what a program said when it failed.
why() { grep -v '^[[:space:]]*$' "$scratch/why" 2>/dev/null | tail -n 1 | head -c 300; }
scratch=$(mktemp -d) || exit 2
linked=''
compiler=''
trap '[ -z "$compiler" ] || kill "$compiler" 2>/dev/null; rm -rf "$scratch"; [ -z "$linked" ] || rm -f "$linked"' EXIT

printf 'What is here\n'
kit=.device/kit.tgz
node=${BENCH_NODE:-$(command -v node || true)}
if [ -f "$kit" ] && { [ -z "$node" ] || [ ! -d node_modules ]; }; then
  # Beside the weights: a scratch folder may be too small, or of a kind from which nothing can be started.
  if mkdir -p "$cache/kit" && tar -xzf "$kit" -C "$cache/kit" 2>"$scratch/why"; then
    [ -n "$node" ] || node=$cache/kit/node
    [ -d node_modules ] || { ln -s "$cache/kit/node_modules" node_modules && linked=node_modules; }
    good "$kit, unpacked in $cache/kit"
  else
    note "$kit cannot be unpacked: $(why)"
  fi
fi
if [ -z "$node" ]; then
  lacks 'Node: none on PATH: set BENCH_NODE to a Node 20.19 or newer, or bring .device/kit.tgz (see test/device/pack.ts)'
elif ! version=$("$node" --version 2>"$scratch/why"); then
  lacks "Node $node does not run ($(why)): set BENCH_NODE to a Node 20.19 or newer"
  node=''
elif ! "$node" -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)'; then
  lacks "Node $version is too old: 20.19 or newer (BENCH_NODE)"
  node=''
else
  good "Node $version ($node)"
fi
bench() { "$node" --import tsx harness/cli/bin.ts "$@"; }
if [ ! -d node_modules ]; then
  lacks 'node_modules: run npm ci (where there is no network: bring .device/kit.tgz, see test/device/pack.ts)'
elif [ -n "$node" ]; then
  # Started once: what was copied from another platform, or not whole, is known before the first minute is spent.
  if bench --version >/dev/null 2>"$scratch/why"; then
    good 'node_modules: bench starts'
  else
    reason=$(grep -m 1 -i error "$scratch/why" | head -c 300)
    lacks "node_modules do not fit: ${reason:-$(why)}: run npm ci --include=dev on this platform"
  fi
fi

if smi=$(command -v nvidia-smi); then
  if ! gpu=$(timeout 60 "$smi" --query-gpu=name,driver_version,memory.total --format=csv,noheader 2>"$scratch/why") || [ -z "$gpu" ]; then
    said=${gpu:+${gpu//$'\n'/ } }$(why)
    lacks "nvidia-smi finds no GPU: ${said:0:300}"
  else
    while IFS= read -r line; do good "GPU $line"; done <<<"$gpu"
  fi
elif { ldconfig -p || /sbin/ldconfig -p; } 2>/dev/null | grep -q 'libnvidia-ml\.so\.1' ||
  compgen -G '/usr/lib*/libnvidia-ml.so.1' >/dev/null || compgen -G '/usr/lib/*-linux-gnu/libnvidia-ml.so.1' >/dev/null ||
  compgen -G '/usr/local/nvidia/lib64/libnvidia-ml.so.1' >/dev/null; then
  note 'no nvidia-smi, but NVML: bench asks that'
else
  lacks 'nvidia-smi and NVML: no NVIDIA driver (in a container: start it with --gpus all)'
fi

# The Python that is named, or that of `bench setup python`, or what a rented image brings along.
if [ -n "${BENCH_PYTHON:-}" ]; then
  candidates=("$BENCH_PYTHON")
else
  candidates=("$cache/python/bin/python" python3 python /opt/conda/bin/python /usr/local/bin/python3 /usr/bin/python3)
fi
python=''
import_seconds=20
seen=''
for candidate in "${candidates[@]}"; do
  if ! file=$(command -v "$candidate"); then
    [ -z "${BENCH_PYTHON:-}" ] || note "Python $candidate is not there, or may not be executed"
    continue
  fi
  case " $seen " in *" $file "*) continue ;; esac
  seen="$seen $file"
  began=$SECONDS
  # The same probe as bench's own: it says what is wrong in one line.
  if ! answer=$(timeout 180 "$file" runners/transformers/probe.py 2>"$scratch/why"); then
    note "Python $file cannot run models: $(why)"
  elif [[ $answer != *'"torch"'* || $answer == *'"reason"'* ]]; then
    note "Python $file cannot run models: $(sed -n 's/.*"reason": "\(.*\)".*/\1/p' <<<"$answer" | head -c 300)"
  elif [[ $answer != *'"cuda": true'* ]]; then
    note "PyTorch of $file sees no GPU (bench setup python --cuda, or a newer driver)"
    # Still the one to ask: the reason of each cell comes from it.
    [ -n "$python" ] || python=$file
  else
    first=$((SECONDS - began))
    # Once more: the first time reads gigabytes from a cold disk, which no cell does again, and would leave time for none.
    began=$SECONDS
    timeout 180 "$file" runners/transformers/probe.py >/dev/null 2>&1
    import_seconds=$((SECONDS - began + 2))
    good "Python $file, PyTorch sees the GPU (import $first s, then ${import_seconds} s)"
    python=$file
    break
  fi
done
[[ ${answer:-} == *'"cuda": true'* ]] ||
  note 'FP16 and GPTQ are left out: no Python with PyTorch for CUDA (set BENCH_PYTHON, or run bench setup python --cuda)'
if command -v nvcc >/dev/null || [ -x "${CUDA_HOME:-/usr/local/cuda}/bin/nvcc" ]; then
  good 'nvcc'
else
  note 'no nvcc: exllama-v2, marlin and machete cannot be compiled'
fi
command -v gcc >/dev/null || command -v cc >/dev/null || command -v clang >/dev/null ||
  note 'no C compiler: Triton needs one (dequant-triton, triton)'
if ! $plan_only; then
  mkdir -p "$cache" "$out" 2>"$scratch/why" || lacks "a folder that can be written ($(why)): set BENCH_CACHE and BENCH_OUT"
fi
free=$(df -Pk "$(existing "$cache")" 2>/dev/null | awk 'NR == 2 {printf "%d", $4 / 1048576}')
if [ "${free:-0}" -lt 9 ]; then
  note "${free:-?} GiB free in $cache: weights that are not there yet need up to 9"
else
  good "$free GiB free in $cache"
fi
if [ "$missing" -ne 0 ]; then
  printf 'Nothing was run: see the lines that begin with LACKS.\n' >&2
  exit 2
fi

# A cache of its own would hide the environment of `bench setup python`.
export BENCH_CACHE=$cache
[ -z "$python" ] || export BENCH_PYTHON=$python

# Sets cells, source, formats, rounds, budget, expected, left_out, kernels and compile for the seconds that are left once
# bench itself has imported PyTorch again and looked at the host. `choose made`: only what its weights are there for;
# `choose all|made FILE`: with what came of compiling.
choose() {
  cells=0 source='' formats='' rounds=0 budget=0 expected=0 left_out='' kernels='' compile=''
  bench matrix "$matrix" --plan --json >"$scratch/plan.json" || return 1
  "$node" --import tsx test/device/choose-time.ts $(($(left) - reserve - import_seconds - 10)) "$import_seconds" "${1:-all}" "${2:-}" \
    <"$scratch/plan.json" >"$scratch/time" 2>"$scratch/refused" || {
    cat "$scratch/refused" >&2
    return 1
  }
  while IFS='=' read -r key value; do
    case "$key" in
      cells | source | formats | rounds | budget | expected | left_out | kernels | compile) printf -v "$key" '%s' "$value" ;;
    esac
  done <"$scratch/time"
}

printf 'What will be measured\n'
choose || { printf 'The plan failed: see above.\n' >&2; exit 2; }
cat "$scratch/refused"
if [ "$cells" -eq 0 ]; then
  printf 'No cell can run here: each reason stands above.\n' >&2
  exit 2
fi
if $plan_only; then
  [ "$rounds" -gt 0 ] || { printf '%s s are not enough.\n' "$limit" >&2; exit 2; }
  printf '  %s cells (%s), %s rounds of %s s, about %s s after the weights are made; left out for want of time: %s\n' \
    "$cells" "$formats" "$rounds" "$budget" "$expected" "${left_out:-nothing}"
  exit 0
fi

if [ "$(left)" -lt 60 ]; then
  printf '%s s are left of %s: not enough for anything (BENCH_SECONDS).\n' "$(left)" "$limit" >&2
  exit 124
fi
compiled=''
if [ -n "$compile" ]; then
  # Beside the weights, and at most until nearly half of the time is over: what is not done then goes on the next time.
  printf 'Compiling kernels of GPTQModel (%s) beside the weights; what they say is in %s\n' "$compile" "$cache/kernels.log"
  compiled=$scratch/compiled
  timeout --kill-after=10 $(($(left) * 45 / 100)) \
    "$python" runners/transformers/compile_kernels.py ${compile//,/ } >"$compiled" 2>"$cache/kernels.log" &
  compiler=$!
fi
printf 'Weights (%s)\n' "$formats"
# At most half of the time: without weights there is nothing to measure, and without time neither.
timeout --foreground --signal=INT --kill-after=20 $(($(left) / 2)) \
  "$node" --import tsx harness/cli/bin.ts weights make "$source" --format "$formats"
status=$?
made=all
if [ $status -ne 0 ]; then
  printf 'Not all weights were made (status %s) within %s s: what there are weights for is measured.\n' "$status" "$SECONDS" >&2
  made=made
fi

if [ -n "$compiler" ]; then
  wait "$compiler"
  compiler=''
  sed -n -e 's/.*"kernel": "\([^"]*\)", "seconds": \([0-9.]*\), "problem": null.*/  ok    \1: compiled (\2 s)/p' \
    -e 's/.*"kernel": "\([^"]*\)".*"problem": "\(.*\)".*/  note  \1: \2/p' "$compiled"
fi
choose $made "$compiled" || exit 2
if [ "$cells" -eq 0 ]; then
  printf 'There are no weights: the same command continues.\n' >&2
  [ $status -eq 124 ] || [ $status -eq 130 ] && exit 124
  exit 1
fi
if [ "$rounds" -eq 0 ]; then
  printf '%s s are left, which is not enough for one round: the weights are made, the same command continues.\n' "$(left)" >&2
  exit 124
fi
only=()
# Cells that are refused keep their rows; those left out are named here.
if [ -n "$left_out" ]; then for kernel in ${kernels//,/ }; do only+=(--only "kernel=$kernel"); done; fi
if [ $made = made ]; then for format in ${formats//,/ }; do only+=(--only "format=$format"); done; fi
printf 'Measuring: %s rounds of %s s, about %s s, %s s after the start%s\n' \
  "$rounds" "$budget" "$expected" "$SECONDS" "${left_out:+; left out for want of time: $left_out}"
: >"$scratch/began"
# An empty list is an error to bash before 4.4.
timeout --foreground --signal=INT --kill-after=20 $(($(left) - reserve)) \
  "$node" --import tsx harness/cli/bin.ts matrix "$matrix" --out "$out" --rounds "$rounds" --budget "$budget" ${only[@]+"${only[@]}"}
status=$?
case $status in
  0) ;;
  124 | 130) printf 'The time was over before the last cell: its rows say what they lack.\n' >&2 ;;
  *) printf 'bench matrix ended with status %s.\n' "$status" >&2 ;;
esac

printf 'Results, %s s after the start\n' "$SECONDS"
latest=''
for folder in "$out"/*/; do
  # Of this run, not of one before it.
  [ "$folder/results.csv" -nt "$scratch/began" ] || continue
  if [ -z "$latest" ] || [ "$folder/results.csv" -nt "$latest/results.csv" ]; then latest=$folder; fi
done
if [ -z "$latest" ]; then
  printf 'There are none.\n' >&2
  [ $status -eq 124 ] && exit 124
  exit 1
fi
"$node" --import tsx test/device/check-results.ts "$latest" || exit 1
[ $status -eq 0 ] && [ $made = all ] || exit 1
printf 'Commit them: git add %s\n' "$latest"
