#!/usr/bin/env bash
# Measures what the NVIDIA GPU of this host makes of Llama 3.2 1B: 16 bit, GPTQ with every kernel that can run here, and
# GGUF through llama.cpp, within ten minutes. Leaves results/gpu-check--…/ to be committed.
#
#   test/device/run.sh            check, make the weights, measure, check the results
#   test/device/run.sh --plan     check, and say what would be measured and for how long; runs nothing
#
#   BENCH_NODE    a Node binary, where none is installed       BENCH_PYTHON  a Python with PyTorch built for CUDA
#   BENCH_CACHE   folder for weights (8 GB)                     BENCH_OUT     folder for results (default: results)
#   BENCH_SECONDS the whole time, default 600
#
# Ends with 0 when every cell that can run here is measured and its counters gave figures, 1 when not, 2 when something
# that it needs is missing, 124 when the time was over before the first result.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 2
limit=${BENCH_SECONDS:-600}
out=${BENCH_OUT:-results}
cache=${BENCH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/bench}
matrix=test/device/gpu.yaml
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
scratch=$(mktemp -d) || exit 2
trap 'rm -rf "$scratch"' EXIT

printf 'What is here\n'
node=${BENCH_NODE:-$(command -v node || true)}
if [ -z "$node" ] || ! version=$("$node" --version 2>"$scratch/why"); then
  lacks "Node ${node:-: none on PATH}: set BENCH_NODE to a Node 20.19 or newer"
  node=''
elif ! "$node" -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)'; then
  lacks "Node $version is too old: 20.19 or newer (BENCH_NODE)"
  node=''
else
  good "Node $version ($node)"
fi
if [ -d node_modules/tsx ] && [ -d node_modules/koffi ]; then
  good 'node_modules'
else
  lacks 'node_modules: run npm ci (where there is no network: copy it from a host of the same platform)'
fi

if ! smi=$(command -v nvidia-smi); then
  lacks 'nvidia-smi: no NVIDIA driver (in a container: start it with --gpus all)'
elif ! gpu=$(timeout 30 "$smi" --query-gpu=name,driver_version,memory.total --format=csv,noheader 2>"$scratch/why") || [ -z "$gpu" ]; then
  lacks "nvidia-smi finds no GPU: $(head -c 200 "$scratch/why" | tr '\n' ' ')"
else
  while IFS= read -r line; do good "GPU $line"; done <<<"$gpu"
fi

python=${BENCH_PYTHON:-$cache/python/bin/python}
import_seconds=20
if [ ! -x "$python" ]; then
  note "no Python at $python: FP16 and GPTQ are left out (set BENCH_PYTHON, or run bench setup python --cuda)"
else
  began=$SECONDS
  # The same probe as bench's own: it says what is wrong in one line.
  if answer=$(timeout 120 "$python" runners/transformers/probe.py 2>"$scratch/why") && [[ $answer == *'"torch"'* && $answer != *'"reason"'* ]]; then
    import_seconds=$((SECONDS - began + 2))
    case "$answer" in
      *'"cuda": true'*) good "Python $python, PyTorch sees the GPU (import ${import_seconds} s)" ;;
      *) note "PyTorch of $python sees no GPU: FP16 and GPTQ are left out (bench setup python --cuda, or a newer driver)" ;;
    esac
  else
    note "Python $python cannot run models: $(printf '%s' "${answer:-$(tail -n 1 "$scratch/why")}" | head -c 300 | tr '\n' ' ')"
  fi
fi
if command -v nvcc >/dev/null || [ -x "${CUDA_HOME:-/usr/local/cuda}/bin/nvcc" ]; then
  good 'nvcc'
else
  note 'no nvcc: exllama-v2, marlin and machete cannot be compiled'
fi
if ! $plan_only; then mkdir -p "$cache" "$out" 2>"$scratch/why" || lacks "a folder that can be written: $(cat "$scratch/why")"; fi
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

bench() { "$node" --import tsx harness/cli/bin.ts "$@"; }
# A cache of its own would hide the environment of `bench setup python`.
export BENCH_CACHE=$cache
[ -x "$python" ] && export BENCH_PYTHON=$python

# Sets cells, formats, rounds, budget, expected, left_out and kernels for the seconds that are left.
choose() {
  cells=0 formats='' rounds=0 budget=0 expected=0 left_out='' kernels=''
  bench matrix "$matrix" --plan --json >"$scratch/plan.json" || return 1
  "$node" --import tsx test/device/choose-time.ts "$1" "$import_seconds" <"$scratch/plan.json" >"$scratch/time" 2>"$scratch/refused" || {
    cat "$scratch/refused" >&2
    return 1
  }
  while IFS='=' read -r key value; do
    case "$key" in cells | formats | rounds | budget | expected | left_out | kernels) printf -v "$key" '%s' "$value" ;; esac
  done <"$scratch/time"
}

printf 'What will be measured\n'
choose $(($(left) - reserve)) || { printf 'The plan failed: see above.\n' >&2; exit 2; }
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

printf 'Weights (%s)\n' "$formats"
# At most half of the time: without weights there is nothing to measure, and without time neither.
timeout --foreground --signal=INT --kill-after=20 $(($(left) / 2)) \
  "$node" --import tsx harness/cli/bin.ts weights make llama-3.2-1b --format "$formats"
status=$?
if [ $status -ne 0 ]; then
  printf 'The weights were not made (status %s) within %s s: the same command continues.\n' "$status" "$SECONDS" >&2
  exit 1
fi

choose $(($(left) - reserve)) || exit 2
if [ "$rounds" -eq 0 ]; then
  printf '%s s are left, which is not enough for one round: the weights are made, the same command continues.\n' "$(left)" >&2
  exit 124
fi
only=()
for kernel in ${kernels//,/ }; do only+=(--only "kernel=$kernel"); done
# Cells that are refused keep their rows; those left out for want of time are said here.
[ -z "$left_out" ] && only=()
printf 'Measuring: %s rounds of %s s, about %s s, %s s after the start%s\n' \
  "$rounds" "$budget" "$expected" "$SECONDS" "${left_out:+; left out for want of time: $left_out}"
timeout --foreground --signal=INT --kill-after=20 $(($(left) - reserve)) \
  "$node" --import tsx harness/cli/bin.ts matrix "$matrix" --out "$out" --rounds "$rounds" --budget "$budget" "${only[@]}"
status=$?
case $status in
  0) ;;
  124 | 130) printf 'The time was over before the last cell: its rows say what they lack.\n' >&2 ;;
  *) printf 'bench matrix ended with status %s.\n' "$status" >&2 ;;
esac

printf 'Results, %s s after the start\n' "$SECONDS"
latest=''
for folder in "$out"/gpu-check--*/; do
  if [ -f "$folder/results.csv" ] && { [ -z "$latest" ] || [ "$folder" -nt "$latest" ]; }; then latest=$folder; fi
done
if [ -z "$latest" ]; then
  printf 'There are none.\n' >&2
  [ $status -eq 124 ] && exit 124
  exit 1
fi
"$node" --import tsx test/device/check-results.ts "$latest" || exit 1
[ $status -eq 0 ] || exit 1
printf 'Commit them: git add %s\n' "$latest"
