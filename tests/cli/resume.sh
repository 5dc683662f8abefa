# An experiment of the toy laboratory, interrupted in the middle of training and resumed, ends in the numbers of
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
cp -r "$t/broken" "$t/kept"
(e1 broken --resume)
result $? 'E1 taken up'
cmp "$t/whole/results.csv" "$t/broken/results.csv" >>"$t/out" 2>&1
result $? '... has the same numbers'
cmp "$t/whole/metrics.jsonl" "$t/broken/metrics.jsonl" >>"$t/out" 2>&1
result $? '... and the same log'
cmp "$t/whole/figures/loss.svg" "$t/broken/figures/loss.svg" >>"$t/out" 2>&1
result $? '... and the same loss curves'

# A checkpoint that is not as it was written, or has lost its curve, is none.
for how in altered cut curveless emptied-curve; do
    rm -rf "$t/harmed" && cp -r "$t/kept" "$t/harmed"
    file=$t/harmed/unfinished/checkpoints/full-seed1.safetensors
    case $how in
    altered) printf '\101\102\103' | dd of="$file" bs=1 seek=9000 conv=notrunc 2>/dev/null ;;
    cut) head -c 9000 "$file" >"$t/cut" && cat "$t/cut" >"$file" ;;
    curveless) rm "$file.curve" ;;
    *) : >"$file.curve" ;;
    esac
    "$VERNIER" run toy/e1 --preset smoke --set dim=8 --set batch=1 --set full-steps=6000 --out "$t/harmed" >"$t/out" 2>"$t/err"
    grep -q 'is damaged, or its curve is; the training begins anew' "$t/err" &&
        cmp "$t/whole/results.csv" "$t/harmed/results.csv" && cmp "$t/whole/metrics.jsonl" "$t/harmed/metrics.jsonl"
    result $? "... $how: the training begins anew, with the same numbers"
done
rm -rf "$t/kept"

# A pretrained model that an interrupted run has kept is used only as it was written.
alpha() { "$VERNIER" run toy/alpha --preset smoke --out "$t/$1" >"$t/out" 2>"$t/err"; }
alpha pre
result $? 'a run that pretrains'
for how in altered lost emptied; do
    rm -rf "$t/kept" && cp -r "$t/pre" "$t/kept" && rm "$t"/kept/jobs/1-*
    sed -i 's/"status":.*"done"/"status": "interrupted"/' "$t/kept/manifest.json"
    model=$(echo "$t"/kept/pretrained/*)
    case $how in
    altered) printf '\101\102\103' | dd of="$model/model.safetensors" bs=1 seek=4000 conv=notrunc 2>/dev/null ;;
    lost) rm "$model/model.safetensors" ;;
    *) : >"$model/config.json" ;;
    esac
    alpha kept && grep -q 'a file of its job is missing or altered; it is done again' "$t/err" &&
        cmp "$t/pre/results.csv" "$t/kept/results.csv" && cmp "$t/pre/metrics.jsonl" "$t/kept/metrics.jsonl" &&
        diff -r "$t/pre/pretrained" "$t/kept/pretrained"
    result $? "... whose model is $how: the job is done again, with the same numbers"
done
rm -rf "$t/kept" && cp -r "$t/pre" "$t/kept" && rm "$t"/kept/jobs/1-*
sed -i 's/"status":.*"done"/"status": "interrupted"/' "$t/kept/manifest.json"
alpha kept && ! grep -q 'done again' "$t/err"
result $? '... as it was: it is used'
echo "1..$n"
