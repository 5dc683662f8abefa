# vernier run probes/study: tables, a resumed base, and refusals.  TAP on stdout.
. tests/cli/tap
ask() { "$VERNIER" run probes/study --quiet "$@"; }
small='--preset smoke --methods full,lora,prefix --steps 40'

expect 0 'shape of table VI' 'a study of synthetic changes' $small --out "$t/a"
cp "$t/out" "$t/first"
for word in 'shape of table VII' 'JIT-DP on 80 test commits' 'CMG on 10 test changes' 'trainable parameters' 'Few training' \
    'Cross-project' 'randomly initialised' 'retrieval \(NNGen\)' 'bag of words' 'Finding 4'; do
    tr -s '\n ' ' ' <"$t/first" | grep -Eq "$word"
    result $? "it shows: $word"
done
for figure in layers-after-jit layers-after-cmg few-examples forgetting; do
    [ -s "$t/a/figures/$figure.svg" ]
    result $? "it draws $figure"
done
for name in 'tables' 'AUC, concat head, prefix' 'probing after CMG (%), lora'; do
    grep -qF "\"$name\"" "$t/a/results.json"
    result $? "results.json has $name"
done
"$VERNIER" report "$t/a" --out "$t/a.html" >"$t/out" 2>"$t/err" && grep -q 'shape of table VI' "$t/a.html"
result $? 'its report shows the tables'

# the rows of an untuned base do not depend on who opened it
rows() { grep -E "^  (ours|given) +(untuned|randomly initialised)" "$1" | sed 's/^  [a-z]* *//'; }
expect 0 'shape of table VI' 'the base that it made, given' $small --out "$t/b" --base "$t/a/base"
rows "$t/first" >"$t/rows"
[ -s "$t/rows" ] && rows "$t/out" | cmp -s - "$t/rows"
result $? 'a base given is the one that was made'

cp "$t/a/base/model.safetensors" "$t/model"
cp "$t/a/metrics.jsonl" "$t/log"
rm "$t/a/results.json"
sed -i 's/"status":.*"done"/"status": "interrupted"/' "$t/a/manifest.json"
expect 0 'shape of table VI' 'taken up again' $small --out "$t/a" --resume
cmp -s "$t/a/base/model.safetensors" "$t/model"
result $? 'the base is taken up'
cmp -s "$t/out" "$t/first"
result $? '... and says what it said before'
grep -q pretraining "$t/log" && cmp -s "$t/a/metrics.jsonl" "$t/log"
result $? '... and logs what it logged'
expect 2 'steps: there [0-9]+, now 3' 'taken up with other steps' $small --out "$t/a" --resume --steps 3
cmp -s "$t/a/base/model.safetensors" "$t/model"
result $? '... leaves all as it was'

expect 2 '--data DIR' 'real without data' --preset real --out "$t/c"
ask() { "$VERNIER" run --quiet "$@"; }
expect 2 'has no preset real' 'real where there is none' toy/e1 --preset real --out "$t/c"
ask() { "$VERNIER" run probes/study --quiet "$@"; }
expect 2 'unknown method' 'an unknown method' --preset smoke --methods full,lorra --out "$t/c"
expect 2 'exclude' 'two kinds of base' --preset smoke --models "$t" --base "$t" --out "$t/c"
expect 3 'contains none of the folders codebert' 'no published model' --preset smoke --models "$t" --out "$t/c"
expect 3 'jit/valid.jsonl' 'data that are not there' --preset smoke --data "$t" --out "$t/c"
mkdir -p "$t/d/jit"
printf '{"id": "a"}\n' >"$t/d/jit/valid.jsonl"
expect 3 'jit/valid.jsonl:1|test.jsonl' 'data that are no commits' --preset smoke --data "$t/d" --out "$t/c"
echo "1..$n"
