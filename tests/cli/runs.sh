# Runs and what they leave on disk, with the experiments that tests/cli/test_program.c adds.  TAP on stdout.
: "${VERNIER:=build/release/vernier}"
program=$(dirname "$VERNIER")/tests/cli/test_program
if [ ! -x "$program" ]; then echo "ok 1 - runs # SKIP $program is not built"; exit 0; fi
t=$(mktemp -d) || exit 1
trap 'rm -rf "$t"' EXIT
n=0
result() {
    n=$((n + 1))
    if [ "$1" = 0 ]; then echo "ok $n - $2"; else
        echo "not ok $n - $2"
        sed 's/^/# /' "$t/out" "$t/err" | head -n 20
    fi
}
expect() {
    code=$1 pattern=$2 name=$3
    shift 3
    "$program" "$@" >"$t/out" 2>"$t/err"
    got=$?
    [ $got = "$code" ] && cat "$t/out" "$t/err" | grep -Eq -- "$pattern"
    result $? "$name (exit $got)"
}

expect 0 'holds: hello' 'a run' run test/quick --out "$t/a"
[ -s "$t/a/manifest.json" ] && [ -s "$t/a/results.json" ] && [ -s "$t/a/results.csv" ] && [ -f "$t/a/metrics.jsonl" ]
result $? 'the run directory is complete'
[ ! -s "$t/err" ]
result $? 'a short run says nothing on stderr'
case $program in /*) ;; *) program=$PWD/$program ;; esac
(cd "$t" && "$program" run test/quick >out 2>err)
[ -s "$t/runs/test/quick/results.json" ]
result $? 'the default directory is runs/GROUP/NAME'
expect 2 'did you mean scale' 'unknown setting, with the nearest' run test/quick --set scael=1 --out "$t/b"
[ ! -e "$t/b" ]
result $? '... before anything is written'
expect 2 'out of range, expected 0 to 10' 'setting out of range' run test/quick --scale 11 --out "$t/b"
expect 2 'expected key=value' 'set without a value' run test/quick --set scale --out "$t/b"
expect 2 'smoke, quick, paper' 'unknown preset' run test/quick --preset slow --out "$t/b"
expect 1 'not a finite number at step 3' 'a run that diverges' run test/broken --out "$t/c"
grep -q '"status":.*"failed"' "$t/c/results.json" && grep -q '"failed"' "$t/c/manifest.json"
result $? '... says so in its files'
expect 2 'unknown option --prset; did you mean --preset' 'unknown option, with the nearest' run test/quick --prset smoke
expect 2 'no setting "verbosity"; it has scale, wrong, text' 'unknown option far from any' run test/quick --verbosity
expect 2 'expected an integer' 'seeds that are no number' run test/quick --seeds many
expect 2 'expected 1 to' 'no seeds' run test/quick --seeds 0
touch "$t/file"
expect 3 "$t/file" 'the run directory is a file' run test/quick --out "$t/file"
expect 3 '/proc/none' 'an unwritable place' run test/quick --out /proc/none
"$program" run test/quick --out "$t/d" >/dev/full 2>"$t/err"
[ $? = 3 ]
result $? 'full disk on stdout'
expect 0 'settings \(smoke, quick, paper\)' 'help with an experiment shows its settings' run test/quick --help

# Interrupting: a clean exit, the run marked, no half file, no process left.
"$program" run test/slow --out "$t/e" >"$t/out" 2>"$t/err" &
pid=$!
sleep 0.6
kill -INT $pid
wait $pid
got=$?
[ $got = 130 ]
result $? "SIGINT gives 130 ($got)"
grep -q '"status":.*"interrupted"' "$t/e/results.json" && grep -q '"interrupted"' "$t/e/manifest.json"
result $? '... and marks the run'
[ -z "$(find "$t/e" -name '*.part')" ] && grep -q '"begin"' "$t/e/metrics.jsonl"
result $? '... and leaves no half file'
sleep 0.1
! ps -eo args | grep -F "$t/e" | grep -v grep | grep -q .
result $? '... and no process'
"$program" run test/slow --out "$t/f" >"$t/out" 2>"$t/err" &
pid=$!
sleep 0.3
kill -TERM $pid
wait $pid
got=$?
[ $got = 130 ]
result $? "so does SIGTERM ($got)"
echo "1..$n"
