# vernier tune --task cmg and vernier predict: a writer of commit messages that learns a dozen by heart, an adapter on
# it, a run stopped and resumed; bad input.  TAP.
. tests/cli/tap
small=layers=1,decoder_layers=1,dim=32,heads=2,hidden=64,vocab=400,dropout=0,attn_dropout=0,act_dropout=0
tune='tune --task cmg --quiet'

"$VERNIER" data make changes --n 8 --seed 5 --difficulty 0 --quiet --out "$t/c.jsonl" >"$t/out" 2>"$t/err"
sed 's/"message": "[^"]*"/"message": ""/' "$t/c.jsonl" >"$t/mute.jsonl"
echo '{"id": "1", "message": "Say nothing", "files": []}' >"$t/blank.jsonl"

expect 0 'T5.s shape, randomly' 'the help describes the model without --model' tune --help
# shellcheck disable=SC2086
{
    expect 2 'needs --train' 'nothing to train on' $tune --out "$t/x"
    expect 2 'is for --task jit' 'a baseline of the other task' $tune --train "$t/c.jsonl" --method words --out "$t/x"
    expect 2 'method full, not lora' 'an adapter on a randomly initialised model' \
        $tune --train "$t/c.jsonl" --method lora --out "$t/x"
    expect 2 'head is for --task jit' 'an option of the other task' $tune --train "$t/c.jsonl" --head concat --out "$t/x"
    expect 3 'mute.jsonl: commit 5-.* has no message' 'no messages' $tune --train "$t/mute.jsonl" --out "$t/x"
    expect 3 'commit 1 has no lines' 'an empty diff' \
        $tune --train "$t/blank.jsonl" --valid "$t/blank.jsonl" --encoder $small --out "$t/x"
    expect 3 'too few commits' 'one commit' $tune --train "$t/blank.jsonl" --out "$t/x"
    expect 2 'steps' 'a setting of the small encoder' $tune --train "$t/c.jsonl" --encoder steps=3 --out "$t/x"

    whole="$tune --train $t/c.jsonl --valid $t/c.jsonl --encoder $small --epochs 80 --batch 8 --length 48 --lr 1e-2
        --evaluations 1 --patience 0"
    "$VERNIER" $whole --out "$t/cut" >"$t/out" 2>"$t/err" &
    pid=$!
    expect 0 'perplexity [0-9.]+, ' 'a writer' $whole --out "$t/full"
    kill -INT $pid 2>/dev/null
    wait $pid
    "$VERNIER" $whole --out "$t/cut" --resume >"$t/out" 2>"$t/err" # has nothing to say where the signal came too late
    cmp -s "$t/full/model/model.safetensors" "$t/cut/model/model.safetensors"
    result $? 'a run that was stopped goes on to the same bytes'

    echo '{"num_beams": 2}' >"$t/full/model/generation_config.json"
    expect 0 'perplexity' 'the whole model again, widened' $tune --train "$t/c.jsonl" --valid "$t/c.jsonl" \
        --model "$t/full/model" --tokenizer "$t/full/writer" --method full --epochs 1 --length 48 --lr 1e-9 \
        --dtype float32 --vocab-from-file --out "$t/again"
    cmp -s "$t/full/model/generation_config.json" "$t/again/model/generation_config.json"
    result $? '... keeps how its base is to be decoded'
    rm "$t/full/model/generation_config.json"
    expect 0 'AUC|perplexity' 'an adapter on it' $tune --train "$t/c.jsonl" --valid "$t/c.jsonl" --model "$t/full/model" \
        --tokenizer "$t/full/writer" --method lora --options rank=2 --epochs 1 --length 48 --lr 1e-9 --out "$t/lora"
    "$VERNIER" data make changes --n 60 --seed 4 --difficulty 0 --quiet --out "$t/j.jsonl" >"$t/out" 2>"$t/err"
    "$VERNIER" tune --task jit --train "$t/j.jsonl" --encoder layers=1,dim=16,heads=2,hidden=16,vocab=900,steps=1 \
        --epochs 1 --quiet --out "$t/jit" >"$t/out" 2>"$t/err"
    expect 3 'expected an encoder-decoder' 'an encoder' \
        $tune --train "$t/c.jsonl" --model "$t/jit/encoder" --out "$t/x"
    expect 3 'table has 403 rows' 'a tokenizer of another model' \
        $tune --train "$t/j.jsonl" --model "$t/full/model" --tokenizer "$t/jit/encoder" --out "$t/x"
}
[ -s "$t/lora/adapter_config.json" ] && [ ! -e "$t/lora/model" ] && [ ! -e "$t/full/train.json" ]
result $? '... which alone is saved'

expect 0 'was:  ' 'messages, beside their own' predict "$t/full" "$t/c.jsonl" --train "$t/j.jsonl"
value() { awk -v k="$2" '$1 == k { print $2 }' "$1"; }
awk "BEGIN { exit !($(value "$t/out" model) > 80 && $(value "$t/out" retrieval) < 80 && $(value "$t/out" frequent) < 80) }"
result $? "... learnt by heart: B-Norm $(value "$t/out" model), baselines $(value "$t/out" retrieval) $(value "$t/out" frequent)"
cp "$t/out" "$t/full.out"
"$VERNIER" predict "$t/lora" "$t/c.jsonl" --train "$t/j.jsonl" >"$t/out" 2>"$t/err"
cmp -s "$t/out" "$t/full.out"
result $? '... and with an adapter that has learnt nothing'
"$VERNIER" predict "$t/full" "$t/mute.jsonl" --json --beams 2 --top 3 >"$t/out" 2>"$t/err"
[ "$(grep -c '"message"' "$t/out")" = 3 ] && ! grep -q 'measures\|reference' "$t/out"
result $? 'JSON of the first three, which have no messages'
"$VERNIER" predict "$t/full" "$t/c.jsonl" --csv --max 2 >"$t/out" 2>"$t/err"
[ "$(wc -l <"$t/out")" = 9 ] && head -n 1 "$t/out" | grep -qx 'id,repo,message,reference'
result $? 'a row per commit as CSV'
echo '{"num_beams": 2, "max_new_tokens": 3}' >"$t/full/model/generation_config.json"
expect 0 '^num_beams = 2 .*generation_config.json' "decoding as the model's folder declares it" predict "$t/full" "$t/c.jsonl" --verbose --csv
cp "$t/out" "$t/declared"
expect 0 '^num_beams = 1 .*--num-beams' '... but for what the command line says' predict "$t/full" "$t/c.jsonl" --verbose --csv --num-beams 1 --max-new-tokens 60
! cmp -s "$t/out" "$t/declared"
result $? '... which decodes otherwise'
expect 0 'every setting of generation is a default' '... or without it' predict "$t/full" "$t/c.jsonl" --verbose --csv --no-generation-config
echo '{"num_beams": 0}' >"$t/full/model/generation_config.json"
expect 3 'num_beams' '... and a setting out of range is rejected' predict "$t/full" "$t/c.jsonl"
rm "$t/full/model/generation_config.json"
expect 3 'a message to compare' 'baselines without references' predict "$t/full" "$t/mute.jsonl" --train "$t/c.jsonl"
expect 3 'has no lines' 'nothing to write about' predict "$t/full" "$t/blank.jsonl"
expect 2 'threshold is for defects' 'an option of the other task' predict "$t/full" "$t/c.jsonl" --threshold 0.1
expect 2 'beams is for messages' '... and the other way about' predict "$t/jit" "$t/c.jsonl" --beams 2
sed 's/"keep":.*/"keep": 5000,/' "$t/full/cmg.json" >"$t/card" && mv "$t/card" "$t/full/cmg.json"
expect 3 'special tokens 5000' 'a card that does not fit its model' predict "$t/full" "$t/c.jsonl"

u=${VERNIER_SHARED:-../shared}/golden/models/unixcoder
if [ -d "$u" ]; then
    # shellcheck disable=SC2086
    expect 0 'perplexity' 'UniXcoder' $tune --train "$t/c.jsonl" --valid "$t/c.jsonl" --model "$u" --length 28 --target 10 \
        --epochs 1 --out "$t/u"
    expect 0 'B-Norm' '... writes' predict "$t/u" "$t/c.jsonl" --max 4 --top 2
    # shellcheck disable=SC2086
    expect 2 'length 40: expected 8 to' '... what fits into its positions' \
        $tune --train "$t/c.jsonl" --model "$u" --length 40 --target 40 --out "$t/x"
else
    echo "ok $((n = n + 1)) - UniXcoder # SKIP no $u"
fi

if command -v git >/dev/null; then
    three_commits
    "$VERNIER" predict "$t/lora" --repo "$t/r" HEAD~2..HEAD --csv --quiet >"$t/out" 2>"$t/err"
    [ "$(sed 's/.*,//' "$t/out" | sort | tr '\n' ' ')" = '"Step 2" "Step 3" reference ' ] && [ ! -s "$t/err" ]
    result $? 'the commits of a range'
    a_merge
    expect 0 '1 commit is left out: merges' 'over a merge' predict "$t/lora" --repo "$t/r" v1..HEAD --csv
    [ "$(sed 's/.*,//' "$t/out" | sort | tr '\n' ' ')" = '"Add the side" "Step 4" reference ' ]
    result $? '... for which no message is written'
    "$VERNIER" predict "$t/lora" --repo "$t/r" v1..HEAD --json --quiet >"$t/merged" 2>"$t/err"
    "$VERNIER" data mine "$t/r" --keep merges --min-words 0 --whole-message --mixed --range v1..HEAD --quiet \
        --repo "$t/r" --out "$t/m.jsonl" >"$t/out" 2>"$t/err"
    "$VERNIER" predict "$t/lora" "$t/m.jsonl" --json --quiet >"$t/out" 2>"$t/err"
    [ "$(wc -l <"$t/m.jsonl")" = 3 ] && grep -q b_norm "$t/out" && cmp -s "$t/out" "$t/merged"
    result $? '... nor scored, in a file either'
else
    echo "ok $((n = n + 1)) - the commits of a range # SKIP no git"
fi
echo "1..$n"
