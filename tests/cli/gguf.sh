# GGUF models in the commands that take a model, on the smallest of the fuzzer's seeds, and LoRA for llama.cpp.  TAP on
# stdout.
. tests/cli/tap
maker=$(dirname "$VERNIER")/tests/adapter/test_disk
mkdir "$t/one" "$t/two"
cp tests/fuzz/corpus/gguf/llama-gpt2 "$t/one/m.gguf"
cp tests/fuzz/corpus/gguf/llama-gpt2 "$t/two/a.gguf"
cp tests/fuzz/corpus/gguf/llama-gpt2 "$t/two/b.gguf"
cp tests/fuzz/corpus/gguf/blocks "$t/blocks.gguf"

for path in "$t/one" "$t/one/m.gguf"; do
    expect 0 '^stored as F32 .11 tensors., 2528 bytes' "the modules of $(basename "$path")" model inspect "$path"
    grep -q '^llama: decoder' "$t/out"
    result $? '... as its metadata describe them'
    echo abab >"$t/text"
    expect 0 '^ +5 +2 +4  ab' '... its tokenizer' tokenize "$path" "$t/text"
    expect 0 '^' '... and its text' generate "$path" --max-new-tokens 3 "$t/text"
done
# Every other command that takes a model, by its folder and by its file: a GGUF has no config.json and no tokenizer.json.
"$VERNIER" data make changes --n 40 --seed 4 --difficulty 0 --quiet --out "$t/j.jsonl" >"$t/out" 2>"$t/err"
for path in "$t/one" "$t/one/m.gguf"; do
    kind=$(basename "$path")
    expect 0 '^ +0 +0 ' "attention of $kind" attend --model "$path" --text abab --out "$t/attend.$kind" --format svg
    # The weights of this model are a ramp, of which no regression can be made; that its file is found is seen by that.
    expect 1 'least squares' "an experiment on $kind" theory prefix-bias --preset smoke --set "model=$path" \
        --set model-slots=2 --set tokens=4 --set rows=2 --out "$t/bias.$kind"
    expect 0 '^model ' "defects by $kind" tune --task jit --train "$t/j.jsonl" --model "$path" --options rank=1 --length 16 \
        --epochs 1 --batch 8 --evaluations 1 --dtype float32 --quiet --out "$t/jit.$kind"
    expect 0 'called defective' '... read again' predict "$t/jit.$kind" "$t/j.jsonl" --top 1 --vocab-from-file
    expect 0 'model, V-information' "probes on $kind" probe --task typ --preset smoke --model "$path" --examples 40 \
        --tokens 8 --seeds 1 --dtype float32 --vocab-from-file yes --out "$t/probe.$kind"
done
# WordPiece has neither a BPE's nor a SentencePiece's unknown token.
mkdir "$t/words"
printf '%s\n' '[PAD]' '[UNK]' '[CLS]' '[SEP]' int '(' ')' >"$t/words/vocab.txt"
expect 0 'model, V-information' 'the published frame around WordPiece' probe --task typ --preset smoke \
    --model "$t/one" --tokenizer "$t/words" --examples 40 --tokens 8 --seeds 1 --mode karmakar-compat --out "$t/probe.bert"
expect 0 '^F32 +.256, 1. +h.2.attn.c_attn.weight' 'transposed tensors are listed' model list "$t/blocks.gguf"
expect 0 '[0-9]' 'a folder of the same' model convert "$t/one/m.gguf" "$t/made"
expect 0 '0 of 11 tensors differ' '... with the same tensors' model compare "$t/one" "$t/made"
expect 0 '^ +5 +2 +4  ab' '... and the same tokenizer' tokenize "$t/made" "$t/text"
expect 3 'holds 2 GGUF models' 'two models in a folder' model inspect "$t/two"
head -c 900 "$t/one/m.gguf" >"$t/cut.gguf"
expect 3 'cut.gguf: ' 'half a file' generate "$t/cut.gguf" --max-new-tokens 3 "$t/text"
sed 's/llama\.block_count/llama.clock_bount/' "$t/one/m.gguf" >"$t/odd.gguf"
expect 3 "key 'llama.block_count'|key 'llama.clock_bount'" 'a key that is missing' model inspect "$t/odd.gguf"
sed 's/smollm/tekken/' "$t/one/m.gguf" >"$t/tekken.gguf"
expect 3 "tokenizer.ggml.pre is 'tekken', which is not supported" 'a pattern that is not known' tokenize "$t/tekken.gguf" "$t/text"

if [ ! -x "$maker" ]; then echo "ok $((n + 1)) - adapters # SKIP $maker is not built"; exit 0; fi
"$maker" "$t" 2>"$t/err" || exit 1
expect 0 'for llama.cpp' 'LoRA for llama.cpp' adapter convert "$t/gpt2-lora" "$t/x.gguf" --to gguf --base "$t/gpt2"
expect 0 '^F32 +\[[0-9]+, [0-9]+\] +blk.0.attn_qkv.weight.lora_a$' '... under its names' model list "$t/x.gguf"
expect 3 "general.type is 'adapter', expected model" '... which is no model' model inspect "$t/x.gguf"
expect 2 'ends in .gguf' 'a name without the ending' adapter convert "$t/gpt2-lora" "$t/x" --to gguf --base "$t/gpt2"
expect 3 'no model of type roberta' 'a base that llama.cpp has not' adapter convert "$t/lora" "$t/y.gguf" --to gguf --base "$t/roberta"
expect 3 'no method like houlsby' 'a method that it has not' adapter convert "$t/houlsby" "$t/y.gguf" --to gguf --base "$t/roberta"
[ ! -e "$t/y.gguf" ]
result $? '... and nothing is written'
echo "1..$n"
