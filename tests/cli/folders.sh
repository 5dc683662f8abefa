# Run directories: nothing is lost in them, whatever is asked and whenever it is killed.  TAP on stdout.
# alone: it kills after moments that it measured
. tests/cli/tap
program=$(dirname "$VERNIER")/tests/cli/test_program
if [ ! -x "$program" ]; then echo "ok 1 - folders # SKIP $program is not built"; exit 0; fi
ask() { "$program" "$@"; }
cd "$t" || exit 1
case $program in /*) ;; *) program=$OLDPWD/$program ;; esac
case $VERNIER in /*) ;; *) VERNIER=$OLDPWD/$VERNIER ;; esac
same() { diff -r -x manifest.json -x 'timings.json*' "$1" "$2" >"$t/out" 2>&1; }

# A former result.
expect 0 'supported: hello' 'a result' run test/quick --scale 2.50 --out r
cp -r r before
expect 0 'not run again' 'the same settings: it is shown' run test/quick --scale 2.5 --out r
grep -q 'supported: hello' out && grep -q 'answer  *105' out && grep -q 'a note with "quotes"' out
result $? '... all of it'
expect 0 'not run again' '... with --resume, too' run test/quick --scale 2.5 --out r --resume
expect 0 '"answer"' '... and as JSON' run test/quick --scale 2.5 --out r --json
expect 2 'scale: there 2.5, now 3; text: there hello, now you' 'other settings are refused by name' \
    run test/quick --scale 3 --text you --out r
expect 2 'seed: there 1, now 2' '... with --resume, too' run test/quick --scale 2.5 --seed 2 --out r --resume
expect 2 'command: there run test/quick, now run test/divides' 'so is another experiment' run test/divides --out r
expect 2 'expected only one of them' '--resume and --overwrite exclude each other' run test/quick --out r --resume --overwrite
same r before
result $? '... all of which leave it as it was'
[ "$(ls -A r)" = "$(ls -A before)" ]
result $? '... and nothing beside it'
chmod a-w r r/figures
expect 0 'not run again' 'a result is shown in a directory that cannot be written' run test/quick --scale 2.5 --out r
chmod u+w r r/figures

# --overwrite, and files that nobody wrote here.
echo mine >r/figures/mine.svg
expect 0 'supported: you' '--overwrite replaces it' run test/quick --text you --out r --overwrite
[ "$(cat r/figures/mine.svg)" = mine ] && grep -q you r/results.json && [ ! -e r/unfinished ]
result $? "... but no stranger's figure"
expect 1 'not a finite number' 'a run that goes wrong in its place' run test/broken --out r --overwrite
grep -q you r/results.json && grep -q failed r/unfinished/results.json
result $? '... leaves the former result'
expect 0 'not run again' '... which is still shown' run test/quick --text you --out r
expect 2 'unfinished run' 'the other is refused' run test/quick --text he --out r
expect 0 'supported: he' '... until it is overwritten' run test/quick --text he --out r --overwrite
mkdir -p paper/figures && echo mine >paper/figures/one.svg && cp paper/figures/one.svg paper/figures/two.pdf
for how in '' --overwrite; do
    expect 2 'files that no manifest lists \(figures/one.svg, figures/two.pdf\)' "a stranger's directory is refused $how" \
        run test/quick --out paper $how
done
[ "$(find paper -type f | wc -l)" = 2 ] && [ "$(ls -A paper)" = figures ]
result $? '... and stays as it was'
"$VERNIER" probe --task typ --preset smoke --quiet --out p >out 2>err
cp -r p before-p
VERNIER_=$program program=$VERNIER
expect 3 'none.txt' 'data that are not there' probe --task typ --preset smoke --quiet --out p --data none.txt
expect 3 'none.txt' '... with --overwrite, too' probe --task typ --preset smoke --quiet --out p --data none.txt --overwrite
same p before-p && cmp -s p/manifest.json before-p/manifest.json
result $? '... leave the former result'
for x in 1 2 3 4 5 6 7 8; do printf 'tr\tORIG\tint a = %s ;\ntr\tFAULT\tint b = %s ;\n' $x $x; done >d.txt
expect 3 'd.txt' 'data that are too few, in a place of their own' probe --task typ --preset smoke --quiet --out q --data d.txt
[ ! -e q ]
result $? '... leave no directory'
program=$VERNIER_

# Damage.
for what in manifest.json results.json; do
    for how in cut '[]' '{}'; do
        rm -rf broken && cp -r r broken
        case $how in cut) head -c 100 r/$what >broken/$what ;; *) echo "$how" >broken/$what ;; esac
        find broken -type f -exec cksum {} + | sort >sums
        expect 3 "broken/$what" "a damaged $what ($how) is one sentence" run test/quick --text he --out broken
        find broken -type f -exec cksum {} + | sort | cmp -s - sums && [ "$(wc -l <err)" = 1 ]
        result $? '... and nothing is changed'
        [ "$how" = cut ] || continue
        grep -q -e --overwrite err
        result $? '... which names the remedy'
        expect 0 'supported: he' '... that works' run test/quick --text he --out broken --overwrite
        expect 0 'not run again' '... and leaves a result' run test/quick --text he --out broken
    done
done
rm -rf broken && cp -r r broken && rm broken/figures/*
expect 3 'broken contains a finished result, but broken/figures/.* is missing or altered; --overwrite' 'a missing figure' \
    run test/quick --text he --out broken
rm -rf broken && cp -r r broken && sed -i 's/"files":.*/"files": ["results.json"]}/; /"files"/q' broken/manifest.json
expect 0 'not run again' 'a manifest without hashes is read' run test/quick --text he --out broken
head -c 100 r/results.json >broken/results.json
expect 3 'broken/results.json.*--overwrite' '... and damage is one sentence there, too' run test/quick --text he --out broken

# Two processes.
"$program" run test/slow --quiet --out two >/dev/null 2>err1 &
first=$!
tries=0
until [ -e two/unfinished/metrics.jsonl ] || [ $tries -gt 200 ]; do tries=$((tries + 1)) && sleep 0.05; done
expect 3 "two is in use by process $first on $(hostname)" 'a second process is refused' run test/slow --out two
kill -KILL $first
wait $first 2>/dev/null
[ -e two/.lock ]
result $? 'a killed one leaves its lock'
timeout 1 "$program" run test/slow --quiet --out two >out 2>err
[ $? = 124 ] && ! grep -q 'in use' err && [ ! -e two/.lock ]
result $? '... which does not keep the next one out'
echo '1 far.example' >two/.lock
expect 3 'two is in use by process 1 on far.example; if that has ended, delete two/.lock' "another machine's does" \
    run test/slow --out two

rm -rf two && mkdir two && echo mine >foreign && ln -s ../foreign two/.lock
expect 3 'two/.lock: expected a lock file of vernier, but it is a symbolic link' 'a link in its place is refused' \
    run test/slow --out two
[ "$(cat foreign)" = mine ] && [ "$(ls -A two)" = .lock ]
result $? '... and what it leads to is kept'

# Killed at any moment and run again: the bytes of an unbroken run, and nothing else.
moment() { awk -v s="$1" -v most="$2" 'BEGIN {srand(s); printf "%.3f", rand() * most}'; }
seed=${KILL_SEED:-7}
broken() { # NAME WORDS...
    name=$1 bad=0
    shift
    rm -rf whole differ
    begin=$(date +%s.%N)
    "$VERNIER" run "$@" --quiet --out whole >/dev/null 2>err || bad=99
    took=$(echo "$begin $(date +%s.%N)" | awk '{print $2 - $1}')
    for k in $(seq "${KILLS:-1}"); do
        for signal in KILL TERM INT; do
            rm -rf half
            seed=$((seed + 1))
            "$VERNIER" run "$@" --quiet --out half >/dev/null 2>&1 &
            pid=$!
            sleep "$(moment $seed "$took")"
            kill -$signal $pid 2>/dev/null
            wait $pid 2>/dev/null
            if "$VERNIER" run "$@" --quiet --out half >/dev/null 2>err; then same whole half; else cp err out && false; fi && continue
            bad=$((bad + 1)) && { echo "$signal" && head -n 5 out; } >>differ
        done
    done
    [ ! -e differ ] || { cp differ out && : >err; } # what a failure was
    result $bad "$name, killed and run again, is the unbroken run ($bad differ)"
}
broken 'a run of jobs' theory/one-token-map --preset smoke
broken 'a run with checkpoints' toy/e1 --preset smoke --set dim=8 --set batch=1 --set full-steps=3000
broken 'a run that pretrains' probes/study --preset smoke --methods lora --steps 60
echo "1..$n"
