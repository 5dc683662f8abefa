# vernier tune --full-blocks and --choose-blocks: layers that train whole beside a method, or alone.  TAP.
. tests/cli/tap
small=layers=3,dim=16,heads=2,hidden=32,vocab=400
"$VERNIER" data make changes --n 240 --seed 3 --difficulty 0 --quiet --out "$t/c.jsonl" >"$t/out" 2>"$t/err"
expect 0 'written to' 'a small encoder-decoder' \
    tune --task cmg --train "$t/c.jsonl" --encoder $small,decoder_layers=2 --epochs 1 --evaluations 1 --target 8 \
    --max-length 32 --out "$t/w"
tune="tune --model $t/w/writer --train $t/c.jsonl --epochs 1 --evaluations 1 --max-length 32"
# trained DIR: trainable parameters
trained() { sed -n 's/.*"trainable":[[:space:]]*\([0-9]*\).*/\1/p' "$1/manifest.json" | head -n 1; }

# shellcheck disable=SC2086
{
    expect 0 'written to' 'LoRA and two layers' $tune --task jit --full-blocks encoder:1,2 --out "$t/two"
    grep -q 'blocks=encoder:1|2' "$t/two/jit.json"
    result $? '... which the card names'
    expect 0 'AUC' '... and which predict reads back' predict "$t/two" "$t/c.jsonl"
    expect 0 'merged' '... as every reader of the adapter does' adapter merge "$t/w/writer" "$t/two" "$t/merged"
    expect 0 'written to' 'LoRA alone' $tune --task jit --out "$t/none"
    expect 0 'written to' 'the same layers alone' \
        $tune --task jit --method blocks --full-blocks encoder:1,2 --out "$t/alone"
    # attention 4 x 16 x 16, feed-forward 2 x 16 x 32, two norms, in each of two layers; the head trains in both
    whole=$((2 * (4 * 16 * 16 + 2 * 16 * 32 + 2 * 16)))
    [ "$(trained "$t/two")" = $(($(trained "$t/none") + whole)) ] && [ "$(trained "$t/alone")" = $((whole + 17)) ]
    result $? "... as many parameters as they have: $(trained "$t/two"), $(trained "$t/none"), $(trained "$t/alone")"
    expect 0 'written to' 'one layer of each stack, for messages' \
        $tune --task cmg --target 8 --method prefix --full-blocks encoder:0,decoder:1 --out "$t/both"
    expect 0 'Perplexity|perplexity|B-Norm|message' '... read back' predict "$t/both" "$t/c.jsonl" --top 1
    expect 0 'layer  2: .*\+?-?[0-9.]+ against the embeddings' 'layers chosen by a probe' \
        $tune --task jit --choose-blocks probe:1 --out "$t/probe"
    expect 0 '1 of 3 layers train whole, chosen at random: encoder:[0-2]' 'layers chosen at random' \
        $tune --task jit --choose-blocks random:1 --out "$t/random"

    expect 2 'full trains every layer already' 'a method that trains all' \
        $tune --task jit --method full --full-blocks 1 --out "$t/x"
    expect 2 'words has no layers' 'a method without a network' \
        tune --task jit --method words --train "$t/c.jsonl" --full-blocks 1 --out "$t/x"
    expect 2 'layer 2 of the decoder, which has 2 layers' 'a layer that one stack lacks' \
        $tune --task jit --full-blocks 2 --out "$t/x"
    expect 2 'exclude each other' 'two choices' \
        $tune --task jit --full-blocks 1 --choose-blocks random:1 --out "$t/x"
    expect 2 'expected probe, ltp, ccm, typ or random, and 1 to 3 layers' 'more layers than there are' \
        $tune --task jit --choose-blocks random:4 --out "$t/x"
    expect 2 'requires --model' 'no model to choose from' \
        tune --task jit --train "$t/c.jsonl" --choose-blocks random:1 --out "$t/x"
}
echo "1..$n"
