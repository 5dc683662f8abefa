# vernier adapter, and --adapter, on the tiny models and adapters that tests/adapter/test_disk.c makes.  TAP on stdout.
. tests/cli/tap
maker=$(dirname "$VERNIER")/tests/adapter/test_disk
if [ ! -x "$maker" ]; then echo "ok 1 - adapters # SKIP $maker is not built"; exit 0; fi
expect() {
    code=$1 pattern=$2 name=$3
    shift 3
    "$VERNIER" "$@" >"$t/out" 2>"$t/err"
    got=$?
    [ $got = "$code" ] && cat "$t/out" "$t/err" | grep -Eq -- "$pattern" && { [ "$code" = 0 ] || [ "$(wc -l <"$t/err")" = 1 ]; }
    result $? "$name (exit $got)"
}
"$maker" "$t" 2>"$t/err" || exit 1
[ ! -s "$t/err" ]
result $? 'models and adapters are made'

expect 0 '^encoder 1 +4 +96  attention.self.query, attention.self.value$' 'what an adapter holds, layer by layer' adapter inspect "$t/lora"
grep -q '^r  *2$' "$t/out" && grep -q '^target_modules  *query, value$' "$t/out" && grep -Eq '^all +8 +192$' "$t/out"
result $? '... its rank, targets and size'
expect 0 'adapters: prefix_tuning' 'one of the other library' adapter inspect "$t/t5-prefix"
expect 2 'expected inspect, convert, merge, combine or approximate' 'an unknown action' adapter look "$t/lora"
expect 2 'inspect takes one DIR' 'no directory' adapter inspect
expect 3 'nowhere/adapter_config.json: No such file' 'no such directory' adapter inspect "$t/nowhere"

# number FILE KEY: a whole number out of a file of JSON
number() { sed -En "s/.*\"($2)\":[^0-9]*([0-9]*).*/\2/p" "$1"; }

# There and back.
for a in lora:roberta gpt2-lora:gpt2; do
    d=$t/${a%:*} base=$t/${a#*:}
    expect 0 'for adapters' "${a%:*} for adapters" adapter convert "$d" "$t/there" --to adapters --base "$base"
    expect 0 'for Hugging Face PEFT' '... and back' adapter convert "$t/there" "$t/back" --to hf --base "$base"
    for x in "$d" "$t/there" "$t/back"; do "$VERNIER" adapter merge "$base" "$x" "$x-merged" --quiet; done
    "$VERNIER" model compare "$t/there-merged" "$t/back-merged" >"$t/out" 2>"$t/err" &&
        "$VERNIER" model compare "$d-merged" "$t/there-merged" >>"$t/out" 2>>"$t/err"
    [ "$(grep -c 'tensors differ$' "$t/out")" = 2 ] && ! grep -v 'tensors differ$' "$t/out" | grep -Evq '^[0-9.]+e-0[6-9] '
    result $? '... the same map each time'
    [ "$(number "$t/there/adapter_config.json" hidden_size)" = "$(number "$base/config.json" 'hidden_size|n_embd')" ]
    result $? '... for a model of that hidden size'
    rm -r "$t/there" "$t/back" "$t/there-merged" "$t/back-merged"
done
"$VERNIER" adapter convert "$t/lora" "$t/again" --to hf --base "$t/roberta" --quiet
expect 0 '0 of 8 tensors differ' 'the same library again' model compare "$t/lora/adapter_model.safetensors" "$t/again/adapter_model.safetensors"
for refused in 'ia3 roberta ia3' 'lora gpt2 gpt2'; do # IN, BASE and what is not as it was
    set -- $refused
    expect 2 "again contains a result of other settings .$t/$3 is not the input that it was made from" "... not over that of another ($3)" \
        adapter convert "$t/$1" "$t/again" --to hf --base "$t/$2"
done
expect 2 'again contains a result of other settings .to: there hf, now adapters.;' '... nor for another library' \
    adapter convert "$t/lora" "$t/again" --to adapters --base "$t/roberta"
expect 2 'both the input and the output' 'onto itself' adapter convert "$t/lora" "$t/lora" --to hf --base "$t/roberta"
expect 2 'name it with --base MODEL' 'a base that is not named' adapter convert "$t/lora" "$t/x" --to hf
expect 2 'expected hf, adapters or gguf' 'an unknown library' adapter convert "$t/lora" "$t/x" --to peft --base "$t/roberta"
expect 3 'has no method like houlsby' 'bottlenecks are not for PEFT' adapter convert "$t/houlsby" "$t/x" --to hf --base "$t/roberta"
expect 3 'has no method like vera' 'VeRA is not for adapters' adapter convert "$t/vera" "$t/x" --to adapters --base "$t/roberta"
expect 3 'after its activation.*--allow-lossy' 'IA3 differs under GELU' adapter convert "$t/ia3" "$t/x" --to adapters --base "$t/roberta"
expect 3 'the one for encoder is dropped; --allow-lossy' 'a prefix in three parts' adapter convert "$t/t5-prefix" "$t/x" --to hf --base "$t/t5"
[ ! -e "$t/x" ]
result $? '... and nothing is written'
expect 0 'for cross-attention is dropped' '... a part of it on demand' adapter convert "$t/t5-prefix" "$t/x" --to hf --base "$t/t5" --allow-lossy
expect 0 'PREFIX_TUNING' '... which is a PEFT directory' adapter inspect "$t/x"
[ "$(number "$t/x/adapter_config.json" num_layers)" = $((2 * $(number "$t/t5/config.json" num_decoder_layers))) ]
result $? "... of twice the decoder's layers"
expect 0 'moves the content' 'positions differ, and are told' adapter convert "$t/gpt2-prefix" "$t/y" --to hf --base "$t/gpt2"
expect 3 'matches no linear layer of this t5' 'an adapter of another model' adapter convert "$t/lora" "$t/z" --to adapters --base "$t/t5"

# VeRA's shared projections are in the file unless the config excludes them.
for saved in '' '"save_projection": false,'; do
    cp -r "$t/vera" "$t/vera-saved"
    sed "s/\"save_projection\":.*/$saved/" "$t/vera/adapter_config.json" >"$t/vera-saved/adapter_config.json"
    if [ -z "$saved" ]; then
        expect 0 'at most [0-9.]+e-0[5-9]' 'VeRA without save_projection' adapter merge "$t/roberta" "$t/vera-saved" "$t/m-saved"
    else
        expect 3 'save_projection is false' '... and with it off' adapter merge "$t/roberta" "$t/vera-saved" "$t/m-unsaved"
    fi
    rm -r "$t/vera-saved"
done

# A setting of training alone is reported where it is set.
for depth in '' '"stochastic_depth": 0.25,'; do
    cp -r "$t/houlsby" "$t/deep"
    sed "s/\"mh_adapter\":/$depth &/" "$t/houlsby/adapter_config.json" >"$t/deep/adapter_config.json"
    "$VERNIER" attend --overwrite --model "$t/roberta" --adapter "$t/deep" --ids 4,5,6,7 --out "$t/o" >"$t/out" 2>"$t/err" &&
        [ "$(grep -c stochastic_depth "$t/err")" = "$([ -z "$depth" ]; echo $?)" ]
    result $? "stochastic depth ${depth:-is not set}"
    rm -r "$t/deep"
done

# Merged acts as adapted: the same attention maps, to the table's digits.
for d in lora dora ia3 vera; do
    expect 0 'at most [0-9.]+e-0[5-9]' "$d is merged" adapter merge "$t/roberta" "$t/$d" "$t/m-$d"
    "$VERNIER" attend --overwrite --model "$t/roberta" --adapter "$t/$d" --ids 4,5,6,7 --out "$t/o" >"$t/adapted" 2>"$t/err"
    "$VERNIER" attend --overwrite --model "$t/m-$d" --ids 4,5,6,7 --out "$t/o" >"$t/out" 2>>"$t/err"
    paste "$t/adapted" "$t/out" | awk 'NR > 1 {for (i = 1; i <= NF / 2; i++) {e = $i - $(i + NF / 2); if (e > 0.0015 || e < -0.0015) bad = 1}} END {exit bad || NR < 2}'
    result $? '... and attends as the adapted model does'
    ! "$VERNIER" attend --overwrite --model "$t/roberta" --ids 4,5,6,7 --out "$t/o" 2>>"$t/err" | cmp -s - "$t/adapted"
    result $? '... unlike the base'
done
expect 3 'houlsby cannot be folded' 'a bottleneck cannot' adapter merge "$t/roberta" "$t/houlsby" "$t/z"
expect 2 'both the base model and the output' 'nor onto its base' adapter merge "$t/roberta" "$t/lora" "$t/roberta"
expect 0 'merged' 'a head comes along' adapter merge "$t/roberta" "$t/tagged" "$t/m-tagged"
expect 0 'classifier.out_proj.weight' '... into the merged model' model list "$t/m-tagged"

# --adapter elsewhere.
expect 0 'peft.lora.encoder.layer' 'a model with its adapter' model inspect "$t/roberta" --adapter "$t/tagged"
grep -q 'out_proj  *weight (3,12)' "$t/out"
result $? '... and its head'
expect 2 'expected only one of them' 'not beside a method' model inspect "$t/roberta" --adapter "$t/lora" --method ia3
expect 0 '  prefix  ' 'a prefix in the maps' attend --overwrite --model "$t/gpt2" --adapter "$t/gpt2-prefix" --ids 4,5 --out "$t/o"
expect 0 'shift' 'and beside a base, which pays it nothing' attend --overwrite --model "$t/gpt2" --base "$t/gpt2" --adapter "$t/gpt2-prefix" --ids 4,5 --out "$t/o"
ids=4,5,6,7,8,9,10,11,12,13,14,15,16,4,5,6,7,8,9,10,11,12,13,14,15,16,4,5,6,7,8,9,10,11,12,13,14,15
expect 2 '38 tokens; the decoder has positions for 37' 'virtual tokens take positions' attend --overwrite --model "$t/gpt2" --adapter "$t/y" --ids "$ids" --out "$t/o"
expect 0 '  prefix  ' '... but where they do not' attend --overwrite --model "$t/gpt2" --adapter "$t/gpt2-prefix" --ids "$ids" --out "$t/o"
"$VERNIER" run probes/typ --preset smoke --quiet --out "$t/typ" >/dev/null 2>&1
v=$(dirname "$(find "$t/typ" -name vocab.json | head -n 1)")
"$maker" "$t" "$v" 2>"$t/err"
result $? 'adapters on a model with a tokenizer are made'
differs() { # NAME ADAPTER COMMAND...
    name=$1 a=$2
    shift 2
    "$VERNIER" "$@" >"$t/out" 2>"$t/err" && "$VERNIER" "$@" --adapter "$a" >"$t/adapted" 2>>"$t/err" &&
        [ -s "$t/adapted" ] && ! cmp -s "$t/out" "$t/adapted"
    result $? "$name"
}
differs 'fills with its adapter' "$t/filling" fill "$v" --text 'int <mask> = 0;'
differs 'generates with its adapter' "$t/wide-prefix" generate "$t/wide" --tokenizer "$v" --text 'int x' --max 12
expect 3 'nowhere' 'generating with one that is not there' generate "$t/gpt2" --adapter "$t/nowhere" --text x
expect 3 'nowhere' 'filling with one that is not there' fill "$t/roberta" --adapter "$t/nowhere" --text x

# Configs that are wrong.
broken() { # NAME PATTERN SED-SCRIPT [ADAPTER [BASE]]
    rm -rf "$t/b"
    cp -r "$t/${4:-lora}" "$t/b"
    sed "$3" "$t/${4:-lora}/adapter_config.json" >"$t/b/adapter_config.json"
    expect 3 "$2" "$1" model inspect "$t/${5:-roberta}" --adapter "$t/b"
}
broken 'no JSON' 'adapter_config.json:[0-9]+:[0-9]+: this is not JSON' 's/{/[{/'
broken 'an empty config' 'adapter_config.json' '1,$d'
broken 'of neither library' 'has none of peft_type' 's/peft_type/type/'
broken 'of both' 'has several of peft_type' 's/"peft_type"/"config": {}, "peft_type"/'
broken 'an unknown type' 'peft_type is LOHA' 's/"LORA"/"LOHA"/'
broken 'a type that is a number' 'peft_type is not a string' 's/"LORA"/1/'
broken 'no rank' 'r is 0, expected 1' 's/"r":.*/"r": 0,/'
broken 'a rank in words' 'r is not a number' 's/"r":.*/"r": "two",/'
broken 'half a rank' 'whole number' 's/"r":.*/"r": 1.5,/'
broken 'more than there is' 'describes about' 's/"r":.*/"r": 65536,/'
broken 'another rank' 'expected floating point \(1,12\)' 's/"r":.*/"r": 1,/'
broken 'targets that are none' 'neither a text nor a list' 's/"target_modules":.*/"target_modules": 3,/'
broken 'a target of numbers' 'something that is no text' 's/"target_modules":.*/"target_modules": [3],/'
broken 'a target that is not there' 'matches no linear layer' 's/"target_modules":.*/"target_modules": ["qkv"],/'
broken 'a pattern that is none' 'no regular expression' 's/"target_modules":.*/"target_modules": "(query",/'
broken 'a pattern without end' 'takes too long|matches no linear' 's/"target_modules":.*/"target_modules": "(([a-z.0-9]+)*)*x",/'
broken 'more targets than tensors' 'has no tensor .*key.lora_A|describes about' 's/"target_modules":.*/"target_modules": ["query", "key", "value"],/'
broken 'fewer targets than tensors' 'value.lora_[AB].weight. .* has no place' 's/"target_modules":.*/"target_modules": ["query"],/'
broken 'ranks that are none' 'rank_pattern is no object' 's/"rank_pattern":.*/"rank_pattern": [1], "old": {/'
broken 'a start that changed the base' "init_lora_weights is 'loftq'" 's/"init_lora_weights":.*/"init_lora_weights": "loftq",/'
broken 'a bias on B' 'lora_B.bias' 's/"r":/"lora_bias": true, "r":/'
broken 'repeated layers' 'layer_replication is set' 's/"r":/"layer_replication": [[0, 1]], "r":/'
broken 'an unknown bias' "bias is 'some'" 's/"bias":.*/"bias": "some",/'
broken 'Compacter' 'phm_layer is set' 's/"phm_layer":.*/"phm_layer": true,/' houlsby
broken 'gates' 'use_gating is set' 's/"use_gating":.*/"use_gating": true,/' houlsby
broken 'an activation from elsewhere' "non_linearity is 'mish'" 's/"non_linearity":.*/"non_linearity": "mish",/' houlsby
broken 'a union' 'architecture is union' 's/"config":.*/"config": {"architecture": "union",/' houlsby
broken 'a width of its own' 'reduction_factor has none for layer 1' 's/"reduction_factor":.*/"reduction_factor": {"0": 2},/' houlsby
broken 'another hidden size' 'hidden_size is 99' 's/"hidden_size":.*/"hidden_size": 99,/' houlsby
broken 'no name' 'has no name' 's/"name":.*/"nome": "x"/' houlsby
broken 'a prefix of no length' 'prefix_length is 0' 's/"prefix_length":.*/"prefix_length": 0,/' gpt2-prefix gpt2
broken 'a prefix far too long' 'describes about' 's/"prefix_length":.*/"prefix_length": 1000000,/' gpt2-prefix gpt2
rm "$t/b/pytorch_adapter.bin"
expect 3 'holds no pytorch_adapter.bin' 'no weights' adapter inspect "$t/b"
head -c 100 "$t/gpt2-prefix/pytorch_adapter.bin" >"$t/b/pytorch_adapter.bin"
expect 3 'pytorch_adapter.bin: ' 'broken weights' adapter inspect "$t/b"
rm "$t/b/pytorch_adapter.bin"
cp "$t/gpt2-prefix/adapter_config.json" "$t/b"
"$VERNIER" model convert "$t/gpt2-prefix/pytorch_adapter.bin" "$t/b/adapter.safetensors" --quiet
expect 0 'adapters: prefix_tuning' 'weights in safetensors' adapter inspect "$t/b"

# ---- LoRAs made of others
expect 0 'a LoRA of rank [0-9]+, combined of 2 by cat' 'two LoRAs side by side' \
    adapter combine "$t/lora" "$t/lora" "$t/cat" --base "$t/roberta" --combination-type cat --weights 0.5,0.5
"$VERNIER" adapter merge "$t/roberta" "$t/lora" "$t/merged-one" --quiet && "$VERNIER" adapter merge "$t/roberta" "$t/cat" "$t/merged-cat" --quiet
"$VERNIER" model compare "$t/merged-one" "$t/merged-cat" >"$t/out" 2>"$t/err"
grep -q 'tensors differ' "$t/out" && ! grep 'of the largest' "$t/out" | grep -vq '(.*e-0[6-9] of the largest)'
result $? '... are their weighted sum'
expect 0 'combined of 2 by ties' 'entries whose signs agree' \
    adapter combine "$t/lora" "$t/lora" "$t/ties" --base "$t/roberta" --combination-type ties --density 0.5
expect 3 'is houlsby, and only LoRAs are combined' 'a bottleneck is not combined' \
    adapter combine "$t/lora" "$t/houlsby" "$t/unmade" --base "$t/roberta"
expect 2 'expected 2 numbers with commas' 'a weight too few' adapter combine "$t/lora" "$t/lora" "$t/x" --base "$t/roberta" --weights 1
expect 2 'require --combination-type ties' 'a density without TIES' \
    adapter combine "$t/lora" "$t/lora" "$t/x" --base "$t/roberta" --density 0.5
expect 0 'query +[0-9.]+ +[0-9]+ +0.00%' 'VeRA as a LoRA of its rank' \
    adapter approximate "$t/vera" "$t/near" --base "$t/roberta" --rank 64
expect 0 'query +[0-9.e-]+ +[0-9]+ +[1-9][0-9.]*%' '... and of a smaller one, with the residual' \
    adapter approximate "$t/vera" "$t/nearer" --base "$t/roberta" --rank 1
expect 0 'query +[0-9.e-]+ +[0-9]+ +[0-9.]+%' 'a whole tuned model as a LoRA' \
    adapter approximate "$t/merged-one" "$t/extracted" --base "$t/roberta" --rank 8
expect 3 'houlsby changes no weights, so no LoRA is near it' 'a bottleneck is not approximated' \
    adapter approximate "$t/houlsby" "$t/unmade" --base "$t/roberta"
# ---- several at once
"$VERNIER" adapter merge "$t/roberta" "$t/ties" "$t/merged-ties" --quiet
maps() { "$VERNIER" attend --overwrite "$@" --ids 4,5,6,7 --out "$t/o" 2>"$t/err" | grep -v '^model\|/'; }
maps --model "$t/merged-ties" --adapter "$t/lora" >"$t/one"
maps --model "$t/roberta" --adapter "$t/lora" >"$t/other"
maps --model "$t/roberta" --adapter "$t/ties" --adapter "$t/lora" >"$t/out"
[ -s "$t/out" ] && cmp -s "$t/one" "$t/out" && ! cmp -s "$t/other" "$t/out"
result $? 'two LoRAs add up'
expect 3 'houlsby: houlsby changes no weights' 'a bottleneck adds to nothing' \
    attend --overwrite --model "$t/roberta" --adapter "$t/lora" --adapter "$t/houlsby" --ids 4,5 --out "$t/o"
expect 2 'shows one --adapter' 'one at a time' model inspect "$t/roberta" --adapter "$t/lora" --adapter "$t/vera"
rm -rf "$t/b"
cp -r "$t/lora" "$t/b"
sed 's/"r":/"new_idea": 3, "other": null, "r":/' "$t/lora/adapter_config.json" >"$t/b/adapter_config.json"
expect 0 'new_idea is not known here' 'an unknown field is remarked on' model inspect "$t/roberta" --adapter "$t/b"
! grep -q other "$t/err"
result $? '... unless it is null'
echo "1..$n"
