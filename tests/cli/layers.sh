# vernier tune --layers and the trunk cache: the same files with and without it, for any number of threads and after an
# interruption; the layers in its files.  TAP.
. tests/cli/tap
"$VERNIER" data make changes --n 120 --seed 3 --difficulty 0 --quiet --out "$t/c.jsonl" >"$t/out" 2>"$t/err"
expect 0 'written to' 'a small encoder' tune --task jit --train "$t/c.jsonl" --epochs 1 --max-length 32 \
    --encoder layers=3,dim=16,heads=2,hidden=32,vocab=400,steps=5,length=32 --out "$t/base"
tune="tune --task jit --model $t/base/encoder --train $t/c.jsonl --epochs 3 --batch 8 --max-length 28"
# same A B: all files of the predictor but the record of the run
same() {
    for f in "$t/$1"/*.safetensors "$t/$1"/adapter_config.json "$t/$1"/results.csv; do
        [ ! -e "$f" ] || cmp "$f" "$t/$2/${f##*/}" >>"$t/out" 2>&1 || return 1
    done
    cmp "$t/$1/metrics.jsonl" "$t/$2/metrics.jsonl" >>"$t/out" 2>&1
}
# shellcheck disable=SC2086
{
    expect 0 'the first 2 layers are frozen and run without dropout; trunk cache: off' 'LoRA in the top layer' \
        $tune --layers top:1 --no-trunk-cache --threads 1 --out "$t/off"
    expect 0 'the frozen layers ran for 120 texts' '... each text passes the frozen layers once' \
        $tune --layers top:1 --threads 2 --out "$t/auto"
    same off auto
    result $? '... with the same bytes, by two threads'
    expect 0 'ran for 120 texts' '... in a file' \
        $tune --layers top:1 --trunk-cache file --trunk-dir "$t/trunk" --out "$t/file"
    same off file
    result $? '... with the same bytes'
    expect 0 'ran for 0 texts' '... which another run finds' \
        $tune --layers top:1 --trunk-cache file --trunk-dir "$t/trunk" --threads 1 --out "$t/again"
    same off again
    result $? '... with the same bytes'
    expect 0 'ran for 0 texts' '... of another method and rate, too' \
        $tune --layers top:1 --trunk-cache file --trunk-dir "$t/trunk" --method pfeiffer --lr 1e-3 --out "$t/pf"
    tr -d ' \n\t' <"$t/off/adapter_config.json" | grep -q '"layers_to_transform":\[2\],"layers_pattern":\["layer"\]' &&
        tr -d ' \n\t' <"$t/off/manifest.json" | grep -q '"layers":"top:1","frozen-layers-without-dropout":2'
    result $? 'the adapter and the manifest name the layers'
    expect 0 'AUC' '... and predict reads it back' predict "$t/auto" "$t/c.jsonl"
    expect 0 'merged' '... as merging does' adapter merge "$t/base/encoder" "$t/auto" "$t/merged"
    for method in prefix full bitfit; do
        options=
        [ $method != prefix ] || options='--options length=4'
        expect 0 'ran for 120 texts' "$method in the top layer" \
            $tune --method $method $options --layers top:1 --out "$t/$method"
        expect 0 'ran for [0-9]{3,} texts' '... without the cache' \
            $tune --method $method $options --layers 2 --no-trunk-cache --out "$t/$method-off"
        if [ -d "$t/$method/model" ]; then
            cmp "$t/$method/model/model.safetensors" "$t/$method-off/model/model.safetensors" >>"$t/out" 2>&1
        else
            cmp "$t/$method/adapter_model.safetensors" "$t/$method-off/adapter_model.safetensors" >>"$t/out" 2>&1
        fi
        result $? '... the same bytes'
        expect 0 'AUC' '... read back' predict "$t/$method" "$t/c.jsonl"
    done

    long="$tune --layers top:1 --epochs 40 --evaluations 1 --patience 0"
    expect 0 'written to' 'a longer run' $long --no-trunk-cache --out "$t/whole"
    for how in auto file; do
        place=
        [ $how = auto ] || place="--trunk-dir $t/trunk"
        (exec "$VERNIER" $long --trunk-cache $how $place --out "$t/broken" >"$t/out" 2>"$t/err") &
        pid=$!
        i=0
        while [ $i -lt 200 ] && [ ! -e "$t/broken/unfinished/train.json" ]; do
            sleep 0.01
            i=$((i + 1))
        done
        kill -KILL $pid
        wait $pid 2>/dev/null
        expect 0 'resuming after step' "... killed and resumed, trunk cache $how" \
            $long --trunk-cache $how $place --out "$t/broken"
        same whole broken
        result $? '... with the same bytes'
        rm -rf "$t/broken"
    done

    expect 2 'prompt acts in front of all layers' 'prompt tuning has no layers' \
        $tune --method prompt --layers top:1 --out "$t/x"
    expect 2 'words has no layers' 'nor has a baseline' \
        tune --task jit --train "$t/c.jsonl" --method words --layers top:1 --out "$t/x"
    expect 2 'layer 3 of the encoder, which has 3 layers' 'more layers than there are' $tune --layers top:4 --out "$t/x"
    expect 2 'requires --layers' 'a cache of no layers' $tune --trunk-cache file --out "$t/x"
    expect 2 'exclude each other' 'two places' $tune --layers 2 --trunk-cache memory --no-trunk-cache --out "$t/x"
}
echo "1..$n"
