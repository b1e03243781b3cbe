#!/usr/bin/env bash
# Runs the cells of one device on hosts of your own, by ssh and GNU parallel, and merges what they measured.
#
#   bench matrix FILE --plan --json > plan.json
#   matrices/recipes/parallel.sh plan.json t4 gpubox1,gpubox2 [results]
#
# Every host has a checkout of bench (`npm ci` done) in BENCH_DIR, by default ~/bench, and keeps its attempts in BENCH_RUNS,
# by default ~/bench-runs, outside of the checkout. Prompts, file: weights and workers of your own are taken from the folder
# `matrices` of the checkout, or from BENCH_MATRIX_FOLDER on every host. `:` is this host, without ssh. One cell at a time per
# host. The same command again runs what failed or is missing. parallel does not know what a host is: name those that have
# the device; each cell looks for itself, and ends with 78 where it is not. Paths without blanks, please.
#
# Exit status: 0, or that of the merge; 1 when cells are missing.
set -euo pipefail
plan=${1:?plan file, of bench matrix FILE --plan --json}
device=${2:?name of the device, as in the plan}
hosts=${3:?host[,host…]; : is this one}
out=${4:-results}
bench=${BENCH:-npx bench}
dir=${BENCH_DIR:-'~/bench'}
runs=${BENCH_RUNS:-'~/bench-runs'}
beside=${BENCH_MATRIX_FOLDER:+" --matrix-dir $BENCH_MATRIX_FOLDER"}

read -r id tasks < <(node -e '
  const plan = JSON.parse(require("node:fs").readFileSync(process.argv[1], "utf8"));
  const of = plan.perDevice.find(({device}) => device === process.argv[2]);
  console.log(plan.planId, of === undefined ? 0 : of.cells);
' "$plan" "$device")
if [ "$tasks" = 0 ]; then
  echo "$plan has no cells to run on $device" >&2
  exit 2
fi
run=$runs/$id
here=$(dirname "$plan")/bench-$id
mkdir -p "$here"
cp "$plan" "$here/plan.json" # bench status $here tells how far it is

on() { # HOST COMMAND
  if [ "$1" = : ]; then bash -c "$2"; else ssh "$1" "$2"; fi
}

IFS=, read -ra each <<<"$hosts"
for host in "${each[@]}"; do on "$host" "mkdir -p $run/attempts && cat >$run/plan.json" <"$plan"; done

# A failure is told by the merge, as a cell that is missing.
seq 0 $((tasks - 1)) |
  parallel -S "$hosts" -j 1 --retries 3 --joblog "$here/$device.joblog" --resume-failed --line-buffer \
    "cd $dir && exec $bench cell --plan $run/plan.json --class $device$beside --task {}" ||
  echo "$? tasks failed: see $here/$device.joblog" >&2

for host in "${each[@]}"; do on "$host" "tar -C $run -cf - attempts" </dev/null | tar -C "$here" -xf -; done
$bench merge "$here" --out "$out"
