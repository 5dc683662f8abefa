# Tasks on tables of one's own: tune, predict and score classes and numbers; bad tables.  TAP.
. tests/cli/tap
awk 'BEGIN {
    split("the film was a story and it is", w, " ")
    print "id,review,stars"
    for (i = 0; i < 60; i++) {
        c = i % 3 ? "good" : "bad"
        printf "%d,\"%s %s, %s%s\",%s\n", i, w[1 + i % 8], c == "good" ? "fine" : "poor", w[1 + (i * 5) % 8], i % 10 ? "" : " \"\"so\"\"", c
    }
}' >"$t/train.csv"
printf '\357\273\277' | cat - "$t/train.csv" | sed 's/$/\r/' >"$t/marked.csv"
awk 'BEGIN { print "first\tsecond\tsame"; for (i = 0; i < 40; i++) printf "int a%d;\tint %s%d;\t%s\n", i % 5, i % 2 ? "a" : "b", i % 5, i % 2 ? "yes" : "no" }' >"$t/pairs.tsv"
awk 'BEGIN { for (i = 0; i < 40; i++) { s = "a"; for (k = 0; k < i % 4; k++) s = s " good"; printf "{\"text\": \"%s\", \"label\": %g}\n", s, 100 + 10 * (i % 4) } }' >"$t/numbers.jsonl"
small="--encoder layers=1,dim=16,heads=2,hidden=32,vocab=300,steps=3 --learning-rate 0.02"
stars="tune --task classify --train $t/train.csv --text-column review --label-column stars"
number() { sed -n "s/.*\"$1\":[[:space:]]*\([-0-9.e]*\).*/\1/p" "$2" | head -n 1; }

# ---- tables that are not as they should be
bad() { # NAME PATTERN TABLE
    printf "$3" >"$t/bad.csv"
    expect 3 "$2" "$1" tune --task "${4:-classify}" --train "$t/bad.csv" --out "$t/x"
}
bad 'an empty label, by its line' "bad.csv:3: the label 'label' is empty" 'text,label\na,x\nb, \n'
bad 'one class' "every label is 'x'; expected two classes" 'text,label\na,x\nb,x\n'
bad 'a quote without end, by its line' 'bad.csv:3: a quoted field has no end' 'text,label\na,x\n"b,y\n'
bad 'text behind a quote' 'bad.csv:2: expected a comma after field 1' 'text,label\n"a"b,x\n'
bad 'a byte that is no UTF-8, by its line' 'bad.csv:3: byte 1 of the line, 0xE9' 'text,label\na,x\n\351,y\n'
bad 'a column that is not there, with those that are' "has no column 'label'; there are .*lab" 'text,lab\na,x\n'
bad 'a row of another length' 'bad.csv:3: has 3 fields, expected the 2 of line 1' 'text,label\na,x\nb,y,z\n'
bad 'no rows' 'holds no rows' 'text,label\n'
bad 'a number that is none' "bad.csv:3: the label 'nan' is not a finite number" 'text,label\na,1\nb,nan\n' regress
bad 'numbers that are all equal' 'every label is 4' 'text,label\na,4\nb,4\n' regress
bad 'a pair without its second column' "has no column 'text_pair'" 'text,label\na,x\nb,y\n' pair
printf '{"text": "a", "label": "x"}\n{"text": {"b": 1}, "label": "y"}\n' >"$t/bad.jsonl"
expect 3 "bad.jsonl:2: 'text' is an object, expected a text" 'an object for a text' tune --task classify --train "$t/bad.jsonl" --out "$t/x"
# shellcheck disable=SC2086
{
    expect 2 'metric f2: expected accuracy, macro_f1' 'a measure that is not there' $stars --metric f2 --out "$t/x"
    expect 2 'class-weights odd=2: expected balanced, or CLASS=WEIGHT' 'a weight of no class' \
        $stars --class-weights odd=2 $small --out "$t/x" --quiet
    expect 2 'text-pair-column is for --task pair or regress' 'a second text for a task of one' \
        $stars --text-pair-column id --out "$t/x"
    expect 2 'label-smoothing is for classes' 'smoothing of numbers' \
        tune --task regress --train "$t/numbers.jsonl" --label-smoothing 0.1 --out "$t/x"
    expect 2 'head is for --task jit' 'an option of another task' $stars --head single --out "$t/x"
    expect 2 'task is needed: classify, pair, regress' 'no task' tune --train "$t/train.csv" --out "$t/x"

    # ---- classes
    expect 0 '^macro F1 +[0-9.]+ .* to ' 'classes, with intervals and baselines' $stars $small --epochs 4 \
        --class-weights balanced --label-smoothing 0.05 --metric accuracy --out "$t/stars"
    grep -q 'most frequent class' "$t/out" && grep -q 'words' "$t/out"
    result $? '... beside the baselines'
    grep -q '"classes":.*\["bad", "good"\]' "$t/stars/classify.json"
    result $? '... whose names are kept'
    grep -q "$(sha256sum "$t/train.csv" | cut -d' ' -f1)" "$t/stars/README.md" && grep -q '^| accuracy | [0-9.]* | [0-9.]* to' "$t/stars/README.md"
    result $? '... and a model card with the hash of the data, and scores'
    $VERNIER $stars --train "$t/marked.csv" $small --epochs 4 --class-weights balanced --label-smoothing 0.05 --metric accuracy \
        --quiet --out "$t/marked" >"$t/out" 2>"$t/err"
    cmp -s "$t/stars/adapter_model.safetensors" "$t/marked/adapter_model.safetensors"
    result $? 'a byte-order mark and line ends of Windows change nothing'
    expect 0 '^accuracy +[01].[0-9]+ .* to ' 'predict gives the measures of labelled rows' predict "$t/stars" "$t/train.csv"
    "$VERNIER" predict "$t/stars" "$t/train.csv" --csv --quiet >"$t/predicted.csv" 2>"$t/err"
    head -n 1 "$t/predicted.csv" | grep -qx 'line,label,prediction,"p:bad","p:good"' && [ "$(wc -l <"$t/predicted.csv")" = 61 ]
    result $? '... and a row for each as CSV'
    expect 0 '^AUC +[01].[0-9]+ ' 'score reads that' score --task classify "$t/predicted.csv"
    "$VERNIER" predict "$t/stars" "$t/train.csv" --json >"$t/scores" 2>"$t/err" && grep -q '"intervals"' "$t/scores"
    result $? '... and as JSON'
    cut -d, -f2 "$t/train.csv" | grep -v '^[^"]' | sed '1s/.*/review/; s/$/"/; 1s/"$//' >"$t/texts.csv"
    expect 0 '^ +2 +(good|bad) +[01]\.' 'rows without labels' predict "$t/stars" "$t/texts.csv"
    sed '2s/bad$/odd/' "$t/train.csv" | sed 's/,bad$/,odd/' >"$t/odd.csv"
    expect 3 "the label 'odd' is no class of the training set; there are bad, good" 'a class that training had not' \
        predict "$t/stars" "$t/odd.csv"
    expect 2 'threshold is for commits' 'an option of commits' predict "$t/stars" "$t/train.csv" --threshold 0.5
    expect 0 'page.html' 'report takes the run' report "$t/stars" --out "$t/page.html"
    expect 0 'of 48 rows .* have more than 8 tokens and are read in windows' 'windows of long texts' \
        $stars $small --epochs 1 --max-length 8 --window --out "$t/windows"
    expect 0 'rows .* have more than 8 tokens; [0-9.]+ % of all tokens are cut' '... or their beginnings' \
        $stars $small --epochs 1 --max-length 8 --out "$t/cut"
    expect 0 '^macro F1' 'the whole model' $stars $small --epochs 2 --method full --out "$t/full"
    grep -q '"id2label"' "$t/full/model/config.json" && grep -q '"1":.*"good"' "$t/full/model/config.json"
    result $? '... which names its classes'
    expect 0 '^accuracy' '... and is read back' predict "$t/full" "$t/train.csv"

    for method in prefix prompt; do
        expect 0 '^- The 4 virtual tokens take [0-9.]+ % of the attention' "the theory about a $method" \
            $stars $small --epochs 1 --method $method --options length=4 --out "$t/$method"
        grep -Eq 'directions? of at most [0-9]' "$t/$method/README.md" && grep -q 'norm of their gradient' "$t/$method/results.json"
        result $? '... is in the card and in the results'
    done

    expect 0 '^accuracy +[01].[0-9]+ ' 'hidden states edited at both ends of a text' $stars $small --epochs 2 --method loreft \
        --options rank=2,positions=f2+l1 --out "$t/loreft"
    grep accuracy "$t/out" | head -n 1 >"$t/tuned"
    "$VERNIER" adapter inspect "$t/loreft" >"$t/out" 2>"$t/err" && grep -q 'positions.*f2+l1' "$t/out" && grep -q 'rotation' "$t/out"
    result $? '... is saved with its positions'
    expect 0 '^ +2 +(good|bad) ' '... and read back' predict "$t/loreft" "$t/train.csv"
    expect 2 'expected all, f3, l1 or f3.l1' 'a position that is none' $stars $small --method loreft --options positions=x --out "$t/x"

    # ---- pairs and numbers
    expect 0 '^MCC' 'pairs, from a table with tabs' tune --task pair --train "$t/pairs.tsv" --text-column first \
        --text-pair-column second --label-column same $small --epochs 2 --out "$t/pairs"
    expect 0 '^ +2 +(yes|no) ' '... predicted' predict "$t/pairs" "$t/pairs.tsv"
    expect 0 '^Pearson +' 'numbers, from JSON Lines' tune --task regress --train "$t/numbers.jsonl" $small --epochs 4 \
        --metric rmse --out "$t/numbers"
    expect 0 '^ +1 +1[0-3][0-9](\.[0-9]+)? ' '... predicted in their own scale' predict "$t/numbers" "$t/numbers.jsonl"
    "$VERNIER" predict "$t/numbers" "$t/numbers.jsonl" --csv --quiet >"$t/predicted.csv" 2>"$t/err"
    expect 0 '^Spearman +' '... scored' score --task regress "$t/predicted.csv"
}
expect 0 'classify +a class for each text' 'list has the tasks' list tasks
echo "1..$n"
