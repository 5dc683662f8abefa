# Signals end every command soon, a second one that is Ctrl-C at once, and nothing half written stays.  SIGINT gives 130,
# the signals of batch systems 75.  TAP on stdout.
# alone: it measures how soon commands end
. tests/cli/tap
soon=2500 # ms, on a machine that has other work
now() { date +%s%3N; }
"$VERNIER" data make changes --n 2000 --seed 3 --difficulty 0 --quiet --out "$t/c.jsonl" >"$t/out" 2>"$t/err"
head -n 200 "$t/c.jsonl" >"$t/few.jsonl"
awk 'BEGIN { srand(1); print "label,score"; for (i = 0; i < 20000; i++) print int(2 * rand()) "," rand() }' >"$t/s.csv"
big=layers=2,dim=384,heads=4,hidden=1536,vocab=400 # whose steps take seconds
code_of() { [ "$1" = INT ] && echo 130 || echo 75; }
# stops SIGNAL SECONDS NAME WORDS...: ends with the signal's exit code, and prints one line
stops() {
    signal=$1 after=$2 name=$3
    shift 3
    "$VERNIER" "$@" >"$t/out" 2>"$t/err" <"$t/pipe" &
    pid=$!
    sleep "$after"
    kill "-$signal" $pid 2>"$t/killed" || echo 'it had ended before the signal' >>"$t/err"
    asked=$(now)
    wait $pid
    code=$?
    took=$(($(now) - asked))
    [ $code = "$(code_of "$signal")" ] && [ $took -lt $soon ] && grep -q interrupted "$t/err"
    result $? "$name (exit $code after $took ms)"
}
mkfifo "$t/pipe" && { sleep 600 >"$t/pipe" & } && held=$!
trap 'kill $held 2>/dev/null; rm -rf "$t"' EXIT

stops TERM 0.7 'waiting for scores' score --task defect /dev/stdin
stops INT 0.7 'waiting for changes' tune --task jit --train /dev/stdin --method words --out "$t/x"
stops TERM 1 'a bootstrap' score --task defect --draws 1000000 "$t/s.csv"
stops TERM 0.7 'synthetic changes' data make changes --n 100000000 --out "$t/many.jsonl"
[ -z "$(find "$t" -name 'many*')" ]
result $? '... of which nothing stays'
stops INT 1 'a training' tune --task jit --train "$t/c.jsonl" --encoder layers=1,dim=64,heads=2,hidden=64,vocab=400 --out "$t/tuned"
stops TERM 1 'an experiment' run toy/e1 --preset paper --quiet --out "$t/run"
case $(sed -n 's/^SigIgn:.*\(.\)$/\1/p' /proc/self/status) in
*[13579bdf]) echo "ok $((n += 1)) - a terminal that goes away # SKIP SIGHUP is ignored here (nohup)" ;;
*) stops HUP 0.7 'a terminal that goes away' score --task defect /dev/stdin ;;
esac
stops USR1 1 'the warning of a batch system' run toy/e1 --preset paper --quiet --out "$t/run"
[ -e "$t/run/unfinished/manifest.json" ]
result $? '... after which the work can be continued'
stops USR2 0.7 'another one' run toy/e1 --preset paper --quiet --out "$t/run"

# nohup(1): the terminal may go away
nohup "$VERNIER" score --task defect /dev/stdin <"$t/pipe" >"$t/out" 2>"$t/err" &
pid=$!
sleep 0.7
kill -HUP $pid && sleep 0.3 && kill -0 $pid 2>"$t/killed"
result $? 'SIGHUP stays ignored under nohup'
kill -TERM $pid
wait $pid
[ $? = 75 ]
result $? '... and SIGTERM is not'

# a step that takes seconds: the first signal waits for its end, the second does not
"$VERNIER" tune --task cmg --train "$t/few.jsonl" --encoder $big --length 256 --batch 160 --threads 1 --out "$t/slow" \
    >"$t/out" 2>"$t/err" &
pid=$!
i=0
while [ $i -lt 200 ] && ! grep -q 'to train on' "$t/err"; do sleep 0.1 && i=$((i + 1)); done
sleep 0.5
kill -USR1 $pid && sleep 0.3 && kill -0 $pid 2>"$t/killed"
result $? 'the first signal waits for the end of a step'
kill -TERM $pid && sleep 0.2 && kill -0 $pid 2>"$t/killed"
result $? 'another warning of the batch system waits, too'
kill -INT $pid
asked=$(now)
wait $pid
code=$? took=$(($(now) - asked))
[ $code = 130 ] && [ $took -lt 1000 ]
result $? "Ctrl-C behind it does not (exit $code after $took ms)"
sleep 0.1
[ -z "$(pgrep -P $$ -f "$t/slow")" ]
result $? '... and no process stays'
echo "1..$n"
