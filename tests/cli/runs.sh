# Runs and what they leave on disk, with the experiments that tests/cli/test_program.c adds.  TAP on stdout.
# alone: it sends signals at moments
. tests/cli/tap
program=$(dirname "$VERNIER")/tests/cli/test_program
if [ ! -x "$program" ]; then echo "ok 1 - runs # SKIP $program is not built"; exit 0; fi
ask() { "$program" "$@"; }

expect 0 'supported: hello' 'a run' run test/quick --out "$t/a"
[ -s "$t/a/manifest.json" ] && [ -s "$t/a/results.json" ] && [ -s "$t/a/results.csv" ] && [ -f "$t/a/metrics.jsonl" ]
result $? 'the run directory is complete'
[ ! -s "$t/err" ]
result $? 'a short run says nothing on stderr'
case $program in /*) ;; *) program=$PWD/$program ;; esac
(cd "$t" && "$program" run test/quick >out 2>err)
first=$(readlink "$t/runs/test/quick/latest") && [ -s "$t/runs/test/quick/$first/results.json" ] && [ "${#first}" = 8 ]
result $? 'the default directory is runs/GROUP/NAME/HASH, and latest leads there'
(cd "$t" && "$program" run test/quick --scale 3 >out 2>err && "$program" run test/quick --scale 2 >out 2>err)
[ "$(ls "$t/runs/test/quick" | wc -l)" = 4 ] && [ "$(readlink "$t/runs/test/quick/latest")" != "$first" ]
result $? 'other settings have a directory of their own'
(cd "$t" && "$program" run test/quick --scale 1.00 >out 2>err) && grep -q 'not run again' "$t/out" &&
    [ "$(ls "$t/runs/test/quick" | wc -l)" = 4 ] && [ "$(readlink "$t/runs/test/quick/latest")" = "$first" ]
result $? 'the same settings, spelled otherwise, have been done'
expect 0 'runs/report.html' 'their report' report "$t/runs"
[ "$(grep -o '<h2 id="[^"]*">test' "$t/runs/report.html" | wc -l)" = 3 ]
result $? '... has each once'
expect 2 'did you mean scale' 'unknown setting, with the nearest' run test/quick --set scael=1 --out "$t/b"
[ ! -e "$t/b" ]
result $? '... before anything is written'
expect 2 'out of range, expected 0 to 10' 'setting out of range' run test/quick --scale 11 --out "$t/b"
expect 2 'expected key=value' 'set without a value' run test/quick --set scale --out "$t/b"
expect 2 'smoke, quick, paper' 'unknown preset' run test/quick --preset slow --out "$t/b"
expect 1 'not a finite number at step 3' 'a run that diverges' run test/broken --out "$t/c"
grep -q '"status":.*"failed"' "$t/c/unfinished/results.json" && grep -q '"failed"' "$t/c/unfinished/manifest.json"
result $? '... says so in its files'
expect 2 'unknown option --prset; did you mean --preset' 'unknown option, with the nearest' run test/quick --prset smoke
expect 2 'no setting "verbosity"; it has scale, wrong, text' 'unknown option far from any' run test/quick --verbosity
expect 2 'expected an integer' 'seeds that are no number' run test/quick --seeds many
expect 2 'expected 1 to' 'no seeds' run test/quick --seeds 0
expect 2 'has no setting' 'a setting that one of several lacks' run test/quick test/broken --scale 2 --out "$t/b"
[ ! -e "$t/b" ]
result $? '... before any of them runs'
touch "$t/file"
expect 3 "$t/file" 'the run directory is a file' run test/quick --out "$t/file"
expect 3 '/proc/none' 'an unwritable place' run test/quick --out /proc/none
"$program" run test/quick --out "$t/d" >/dev/full 2>"$t/err"
[ $? = 3 ]
result $? 'full disk on stdout'
expect 0 'settings \(smoke / quick' 'help with an experiment shows its settings' run test/quick --help

# Figures and reports.
[ -s "$t/a/figures/words.svg" ] && [ -s "$t/a/figures/words.pdf" ] && [ -s "$t/a/figures/words.png" ]
result $? 'a figure in three formats'
expect 0 '^.*/a/report.html$' 'a report of one run' report "$t/a"
grep -q '<svg' "$t/a/report.html" && grep -q 'What was &lt;said&gt;' "$t/a/report.html"
result $? '... holds its figure and escapes its caption'
expect 1 '1 of 2 experiments did not end' 'several runs, one of which fails' run test/quick test/broken --out "$t/g"
grep -q 'test/quick' "$t/g/report.html" && grep -q '>failed<' "$t/g/report.html" && grep -q 'failed: the loss is not a finite number' "$t/g/report.html"
result $? '... have one report that says so'
echo mine >"$t/g/report.html"
expect 2 'is not a report of vernier' "... which replaces no other page" run test/quick test/broken --out "$t/g"
[ "$(cat "$t/g/report.html")" = mine ]
result $? '... and leaves that as it is'
expect 0 'page.html' 'a report of all below a directory' report "$t" --out "$t/page.html"
[ "$(grep -o 'id="[^"]*"' "$t/page.html" | wc -l)" -ge 4 ]
result $? '... has a section for each'
expect 3 'no run directory' 'a report of nothing' report "$t/a/figures"
mkdir "$t/h" && echo '{"seeds": ["' >"$t/h/results.json"
expect 3 "$t/h/results.json: byte 1[0-9]: expected a JSON object" 'a report of a broken file' report "$t/h"
expect 3 "$t/i" 'a report that cannot be written' report "$t/a" --out "$t/i/j/k.html"
for junk in '[]' '{"metrics":[1,2],"figures":{"a":3},"notes":"x","seeds":7}' '{"metrics":{"m":{"values":3,"ci95":{}}}}'; do
    mkdir -p "$t/h" && echo "$junk" >"$t/h/results.json" && echo '{"time":[],"machine":3}' >"$t/h/manifest.json"
    "$program" report "$t/h" >"$t/out" 2>"$t/err"
    [ $? -le 3 ]
    result $? "a report of strange files does not crash: $junk"
done

expect 0 'quotient +not finite' 'a quotient that is no number' run test/divides --out "$t/k"
grep -q '"values":[^0-9]*null' "$t/k/results.json" && grep -q 'not a finite number for seed 1' "$t/k/results.json"
result $? '... is null in the results, with a note'
(ulimit -c 0 && "$program" run test/divides --trap-fp --overwrite --out "$t/k") >"$t/out" 2>"$t/err"
[ $? = 136 ]
result $? '... and is trapped when that is wished'
expect 0 'supported: hello' 'trapping spares statistics and drawing' run test/quick --trap-fp --out "$t/k2"

# Interrupting: a clean exit, the run marked, no half file, no process left.
"$program" run test/slow --out "$t/e" >"$t/out" 2>"$t/err" &
pid=$!
sleep 0.6
kill -INT $pid
wait $pid
got=$?
[ $got = 130 ]
result $? "SIGINT gives 130 ($got)"
grep -q '"status":.*"interrupted"' "$t/e/unfinished/results.json" && grep -q '"interrupted"' "$t/e/unfinished/manifest.json"
result $? '... and marks the run'
[ -z "$(find "$t/e" -name '*.part')" ] && grep -q '"begin"' "$t/e/unfinished/metrics.jsonl"
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
[ $got = 75 ]
result $? "SIGTERM gives 75 ($got)"
# A signal to the whole group, as a terminal or timeout sends it: parent and jobs get it, and still end by themselves.
for how in TERM INT USR1; do
    setsid "$program" run test/slow --out "$t/g-$how" >"$t/out" 2>"$t/err" &
    pid=$!
    tries=0
    until [ "$(ls "$t/g-$how"/unfinished/jobs/*.jsonl 2>/dev/null | wc -l)" -ge 1 ] || [ $tries -gt 200 ]; do
        tries=$((tries + 1))
        sleep 0.05
    done
    kill -$how "-$pid"
    wait $pid
    got=$?
    [ $got = "$([ $how = INT ] && echo 130 || echo 75)" ] && grep -q 'interrupted before the end' "$t/err" && grep -q '"interrupted"' "$t/g-$how/unfinished/manifest.json"
    result $? "SIG$how to the group ends it in order ($got)"
done
echo "1..$n"
