#!/bin/bash
# run.sh BUILD PYTHON SECONDS: half of the time for the fuzzer of the kernels in that build folder, half for the operators.
# The last lines say how many cases ran. Fails where one of them found a difference, after saying how to see it again.
set -uo pipefail
build=$1 python=$2 half=$(( ($3 + 1) / 2 ))
here=$(cd "$(dirname "$0")" && pwd)
fuzzer=$build/tests/fuzz/kernel_fuzzer
status=0

# New cases go to the first folder, from which the corpus is taken: kernel_fuzzer -merge=1 tests/fuzz/corpus FOLDER.
mkdir -p "$build/found"
"$fuzzer" "$build/found" "$here/corpus" -len_control=0 -max_len=96 -timeout=10 -max_total_time="$half" \
  -print_final_stats=1 -verbosity=0 -artifact_prefix="$build/" > "$build/kernels.log" 2>&1 || status=1
cases=$(awk '/^stat::number_of_executed_units:/ { print $2 }' "$build/kernels.log")
difference="no difference found"
if [ $status = 1 ]; then
  difference="and one that failed: run $fuzzer on the file named above to see it again"
  cat "$build/kernels.log"
fi

if ! "$python" "$here/../python/fuzz.py" "$half" > "$build/operators.log" 2>&1; then
  status=1
  cat "$build/operators.log"
fi
echo "${cases:-0} cases of the kernels, $difference"
tail -n 1 "$build/operators.log"
exit $status
