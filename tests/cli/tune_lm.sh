# vernier tune --task lm: a decoder tuned on texts, stopped and resumed, merged, generated from; bad input.  TAP.
. tests/cli/tap
maker=$(dirname "$VERNIER")/tests/tasks/test_lm
if [ ! -x "$maker" ]; then echo "1..0 # SKIP $maker is not built"; exit 0; fi
mkdir "$t/m" && "$maker" "$t/m" >/dev/null || exit 1
for i in 1 2 3 4 5 6 7 8; do
    printf '{"text": "the cat sat on the mat and the dog sat on log %d"}\n' $i
    printf '{"prompt": "the cat", "completion": " sat %d"}\n' $i
    printf '{"messages": [{"role": "user", "content": "the log?"}, {"role": "assistant", "content": "the dog %d"}]}\n' $i
done >"$t/train.jsonl"
head -n 6 "$t/train.jsonl" >"$t/valid.jsonl"
for i in 1 2 3 4 5 6 7 8 9; do echo 'the cat sat on the mat while the dog sat still'; done >"$t/plain.txt"
printf '{"text": "a"}\n{"txt": "b"}\n' >"$t/bad.jsonl"
tune="tune --task lm --train $t/train.jsonl --valid $t/valid.jsonl --max-length 48 --batch 4 --learning-rate 0.01"
number() { sed -n "s/.*\"$1\":[[:space:]]*\([0-9.e-]*\).*/\1/p" "$2" | head -n 1; }

expect 2 'lm needs --model DIR' 'no model' tune --task lm --train "$t/train.jsonl" --out "$t/x"
expect 2 'method words is for --task jit' 'a baseline' tune --task lm --train "$t/train.jsonl" --model "$t/m/gpt2" --method words --out "$t/x"
expect 2 'head is for --task jit' 'an option of another task' \
    tune --task lm --train "$t/train.jsonl" --model "$t/m/gpt2" --head single --out "$t/x"
expect 2 'score is for --task lm' '... and one of this task for another' \
    tune --task cmg --train "$t/train.jsonl" --score all --out "$t/x"
expect 2 'encoder is for --task classify, pair, regress, cmg, jit' '... or two others' \
    tune --task lm --train "$t/train.jsonl" --model "$t/m/gpt2" --encoder dim=8 --out "$t/x"
expect 3 'bad.jsonl:2: found no text; expected "text"' 'a bad row, by its line' \
    tune --task lm --train "$t/bad.jsonl" --model "$t/m/gpt2" --out "$t/x"
expect 3 'this t5 model is not a decoder alone' 'an encoder-decoder' \
    tune --task lm --train "$t/train.jsonl" --model "$t/m/t5" --out "$t/x" --quiet
expect 3 'llama: has no chat template' 'conversations without a template' \
    tune --task lm --train "$t/train.jsonl" --model "$t/m/llama" --out "$t/x" --quiet
expect 0 '^chat template: ' 'model inspect says which form a template has' model inspect "$t/m/gpt2"
expect 2 'max-length 4: expected 8' 'a length that holds nothing' \
    tune --task lm --train "$t/train.jsonl" --model "$t/m/gpt2" --max-length 4 --out "$t/x"
expect 2 'max-length 100: expected 8 to 64' '... or more than the model' \
    tune --task lm --train "$t/train.jsonl" --model "$t/m/gpt2" --max-length 100 --out "$t/x"
[ ! -e "$t/x" ]
result $? '... before anything is written'

# shellcheck disable=SC2086
{
    expect 0 'untuned +[0-9.]+' 'LoRA on texts, completions and conversations' $tune --model "$t/m/gpt2" --out "$t/lora"
    loss=$(number loss "$t/lora/lm.json") was=$(number untuned_loss "$t/lora/lm.json")
    awk "BEGIN { exit !($loss < $was - 0.2) }"
    result $? "... lowers the validation loss: $was to $loss"
    grep -q 'Perplexity .* before tuning' "$t/lora/results.json" && [ -s "$t/lora/figures/loss.svg" ] &&
        grep -q '"phase":"validation".*"perplexity":' "$t/lora/metrics.jsonl" && [ ! -e "$t/lora/train.json" ]
    result $? '... leaves results, a figure and a log'
    expect 0 'page.html' '... which report takes' report "$t/lora" --out "$t/page.html"

    expect 0 '^ +all +[0-9]+ ' 'predict scores texts' predict "$t/lora" "$t/valid.jsonl"
    "$VERNIER" predict "$t/lora" "$t/valid.jsonl" --json >"$t/scores" 2>"$t/err"
    awk "BEGIN { d = $(number loss "$t/scores") - $loss; exit !(d * d < 1e-10) }" &&
        [ "$(number tokens "$t/scores")" = "$(number tokens "$t/lora/lm.json")" ]
    result $? '... as the tuning did'
    "$VERNIER" predict "$t/lora" "$t/valid.jsonl" --csv >"$t/out" 2>"$t/err"
    [ "$(wc -l <"$t/out")" = 7 ] && head -n 1 "$t/out" | grep -qx 'line,tokens,loss,perplexity'
    result $? '... a row per text as CSV'
    # by hand: behind the prompt a blank with "sat", a blank and a digit, and </s>, whatever the merges make of them
    [ "$(sed -n 3p "$t/out" | cut -d, -f1)" = 2 ] && [ "$(sed -n 3p "$t/out" | cut -d, -f2)" -le 7 ]
    result $? '... of a completion without its prompt'
    expect 2 'repo is for commits' '... and no commits' predict "$t/lora" --repo "$t"
    expect 2 'threshold is for commits' '... nor their options' predict "$t/lora" "$t/valid.jsonl" --threshold 0.5

    expect 0 '.' 'generate takes the adapter' generate "$t/m/gpt2" --adapter "$t/lora" --text 'the cat' --max-new-tokens 8
    cp "$t/out" "$t/with"
    expect 0 'merged|into' '... which can be merged' adapter merge "$t/m/gpt2" "$t/lora" "$t/merged"
    "$VERNIER" generate "$t/merged" --tokenizer "$t/m/gpt2" --text 'the cat' --max-new-tokens 8 >"$t/out" 2>"$t/err"
    cmp -s "$t/out" "$t/with"
    result $? '... and writes the same'

    "$VERNIER" $tune --model "$t/m/gpt2" --quiet --out "$t/cut" >"$t/out" 2>"$t/err" &
    pid=$!
    while kill -0 $pid 2>/dev/null && [ ! -e "$t/cut/unfinished/train.json" ]; do sleep 0.05; done
    kill -INT $pid 2>/dev/null
    wait $pid
    "$VERNIER" $tune --model "$t/m/gpt2" --quiet --out "$t/cut" --resume >"$t/out" 2>"$t/err"
    result $? 'a run that was stopped goes on'
    diff -r "$t/lora" "$t/cut" >"$t/out"
    result $? '... and ends in the same bytes, with no file more or less'
    "$VERNIER" $tune --model "$t/m/gpt2" --accumulate 2 --score all --method full --quiet --out "$t/full" >"$t/out" 2>"$t/err" &&
        "$VERNIER" predict "$t/full" "$t/valid.jsonl" --json >"$t/scores" 2>"$t/err" &&
        awk "BEGIN { d = $(number loss "$t/scores") - $(number loss "$t/full/lm.json"); exit !(d * d < 1e-10) }" &&
        [ "$(number tokens "$t/scores")" -gt "$(number tokens "$t/lora/lm.json")" ]
    result $? 'full fine-tuning in parts, on all tokens'
}
for m in gpt2 llama; do
    expect 0 'blocks? |validation: ' "plain text, $m" tune --task lm --train "$t/plain.txt" --model "$t/m/$m" --max-length 16 --method prefix \
        --options length=2 --epochs 2 --out "$t/plain.$m"
    expect 0 '^ +block +tokens' '... whose blocks are scored' predict "$t/plain.$m" "$t/plain.txt"
done
grep '"text"' "$t/train.jsonl" >"$t/texts.jsonl"
expect 0 '[0-9] of [0-9] texts have more than 8 tokens; the rest is cut' 'texts that are too long' \
    tune --task lm --train "$t/texts.jsonl" --model "$t/m/llama" --max-length 8 --epochs 1 --out "$t/short"
sed 's/"text"/"body"/' "$t/texts.jsonl" >"$t/body.jsonl"
expect 0 'texts, ' 'a member of another name' tune --task lm --train "$t/body.jsonl" --text-key body --model "$t/m/llama" --epochs 1 --out "$t/body"
expect 0 '^ +all ' '... which predict knows' predict "$t/body" "$t/body.jsonl"
printf '{"prompt": "the", "completion": ""}\n' >"$t/one.jsonl"
expect 0 '^1 token is scored in training, 1 in validation' 'one text with one token' \
    tune --task lm --train "$t/one.jsonl" --valid "$t/one.jsonl" --model "$t/m/llama" --epochs 1 --out "$t/one"
cat "$t/out" "$t/err" | grep -Eq '(^|[^0-9.])1 (scored )?(texts|tokens)'
[ $? = 1 ]
result $? '... is told in the singular'
echo "1..$n"
