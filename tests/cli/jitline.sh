# JITLine as a method of vernier tune: its classifiers and forms on synthetic changes, lines, files that are damaged.  TAP.
. tests/cli/tap
number() { sed -n "s/.*\"$1\":[[:space:]]*\([0-9.e-]*\).*/\1/p" "$t/out" | head -n 1; }
tune() { # NAME OPTIONS WORDS...
    to=$1 options=$2
    shift 2
    "$VERNIER" tune --task jit --train "$t/c.jsonl" --method jitline --options "$options" --quiet --out "$t/$to" "$@"
}
"$VERNIER" data make changes --n 240 --seed 3 --difficulty 0 --quiet --out "$t/c.jsonl" >"$t/out" 2>"$t/err"
"$VERNIER" data make changes --n 120 --seed 4 --difficulty 0 --quiet --out "$t/new.jsonl" >"$t/out" 2>"$t/err"

expect 0 'jitline  *a forest on counts' 'list names it' list baselines
expect 2 'expected forest.logistic.svm' 'an unknown classifier' \
    tune --task jit --train "$t/c.jsonl" --method jitline --options classifier=bayes --out "$t/x"
expect 2 'from 1 to 10000' 'no trees' \
    tune --task jit --train "$t/c.jsonl" --method jitline --options trees=0 --out "$t/x"

for form in 'forest: trees=30' 'balanced: trees=30,balance=weights' 'plain: trees=30,balance=none' \
    'logistic: classifier=logistic,k=5' 'svm: classifier=svm,balance=weights'; do
    name=${form%%:*}
    tune "$name" "${form#*: }" >"$t/out" 2>"$t/err" && "$VERNIER" predict "$t/$name" "$t/new.jsonl" --json >"$t/out" 2>"$t/err"
    awk "BEGIN { exit !($(number auc) > 0.65) }"
    result $? "a planted signal is found by $name: AUC $(number auc)"
    expect 0 '\+ ' '... and lines are listed' predict "$t/$name" "$t/new.jsonl" --top 2
done
for pair in 'forest balanced' 'balanced plain' 'forest plain' 'logistic svm'; do
    cmp -s "$t/${pair% *}/jitline.safetensors" "$t/${pair#* }/jitline.safetensors"
    [ $? = 1 ]
    result $? "$pair: options make a difference"
done
expect 0 'SMOTE with [0-9]* neighbours?: validation AUC' 'the number of neighbours is chosen, and told' \
    tune --task jit --train "$t/c.jsonl" --method jitline --options trees=5 --out "$t/chosen"
OMP_NUM_THREADS=3 tune again trees=30 >"$t/out" 2>"$t/err"
cmp "$t/forest/jitline.safetensors" "$t/again/jitline.safetensors" >"$t/out" 2>&1
result $? 'the same forest for any number of threads'

tune published trees=10,k=3 --as-published >"$t/out" 2>"$t/err" && grep -q '"as_published":[[:space:]]*true' "$t/published/jit.json"
result $? 'as published, which the card tells'
expect 0 '\+ ' '... lines by LIME' predict "$t/published" "$t/new.jsonl" --top 1
cmp -s "$t/published/jitline.safetensors" "$t/forest/jitline.safetensors"
[ $? = 1 ]
result $? '... another model'

# A file is believed only as it could have been written.
cp -r "$t/forest" "$t/harmed" && not_numbers "$t/harmed/jitline.safetensors"
expect 3 'jitline.safetensors' 'numbers that are none' predict "$t/harmed" "$t/new.jsonl"
rm "$t/harmed/jitline.safetensors"
expect 3 'jitline.safetensors: No such file' 'the file is gone' predict "$t/harmed" "$t/new.jsonl"
head -c 5000 "$t/forest/jitline.safetensors" >"$t/harmed/jitline.safetensors"
expect 3 'jitline.safetensors' 'half a file' predict "$t/harmed" "$t/new.jsonl"
cp "$t/logistic/jitline.safetensors" "$t/harmed/jitline.safetensors"
expect 0 'AUC' 'a file of another classifier is read as such' predict "$t/harmed" "$t/new.jsonl"
LC_ALL=C sed 's/classpath/CLASSPATH/; s/\nint\n/\nINT\n/; s/public/PUBLIC/' "$t/forest/jitline.safetensors" >"$t/harmed/jitline.safetensors"
expect 3 'among the words, expected' 'a word that no line could have' predict "$t/harmed" "$t/new.jsonl"
echo "1..$n"
