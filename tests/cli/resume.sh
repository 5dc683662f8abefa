# An experiment of the toy laboratory, interrupted in the middle of training and taken up again, ends in the numbers of
# the unbroken run.  TAP on stdout.
. tests/cli/tap
e1() {
    out=$1
    shift
    exec "$VERNIER" run toy/e1 --preset smoke --quiet --set dim=8 --set batch=1 --set full-steps=6000 --out "$t/$out" "$@" >"$t/out" 2>"$t/err"
}
(e1 whole)
result $? 'E1 unbroken'
(e1 broken) &
pid=$!
checkpoint=$t/broken/unfinished/checkpoints/full-seed1.safetensors
i=0
while [ $i -lt 300 ] && [ ! -e "$checkpoint" ]; do
    sleep 0.05
    i=$((i + 1))
done
kill -INT $pid
wait $pid
[ $? = 130 ] && [ -e "$checkpoint" ]
result $? 'E1 interrupted behind a checkpoint'
(e1 broken --resume)
result $? 'E1 taken up'
cmp "$t/whole/results.csv" "$t/broken/results.csv" >>"$t/out" 2>&1
result $? '... has the same numbers'
cmp "$t/whole/metrics.jsonl" "$t/broken/metrics.jsonl" >>"$t/out" 2>&1
result $? '... and the same log'
cmp "$t/whole/figures/loss.svg" "$t/broken/figures/loss.svg" >>"$t/out" 2>&1
result $? '... and the same loss curves'
echo "1..$n"
