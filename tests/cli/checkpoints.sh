# Checkpoints as files: listed, converted and compared.  TAP on stdout.
. tests/cli/tap
"$VERNIER" toy transfer --preset smoke --quiet --out "$t/run" >/dev/null 2>&1
m=$(ls -d "$t"/run/pretrained/*-seed1)
expect 0 'F32 +\[96\] +transformer.h.0.attn.c_attn.bias' 'a checkpoint is listed' model list "$m"
expect 0 'largest change (0.000|[0-9.]+e-0)[0-9]+' 'it is written in half precision' model convert "$m" "$t/half" --dtype F16
expect 0 '^F16 +\[96\] +transformer.h.0.attn.c_attn.bias' '... which its list says' model list "$t/half"
expect 0 'contains this result already' '... and is not written again' model convert "$m" "$t/half" --dtype F16
expect 2 "^vernier: $t/half contains a result of other settings .dtype: there F16, now not set.; choose" \
    '... nor with another --dtype' model convert "$m" "$t/half"
cp -r "$m" "$t/other" && "$VERNIER" model convert "$m/model.safetensors" "$t/other/model.safetensors" --dtype F16 --overwrite --quiet
expect 2 "^vernier: $t/half contains a result of other settings .$t/other is not the input that it was made from.; choose" \
    '... nor from another model, which is named' model convert "$t/other" "$t/half" --dtype F16
grep -Eq 'sha256|operand' "$t/err"
[ $? = 1 ]
result $? '... in plain words'
expect 0 '0 of [0-9]+ tensors differ' 'a model is itself' model compare "$m" "$m"
expect 0 'of [0-9]+ values +transformer.h.1.mlp.c_fc.weight' 'the two differ by rounding' model compare "$m" "$t/half"
expect 0 '2 decoder layers' 'the new directory is a model' model inspect "$t/half"
mkdir "$t/broken" && cp "$m/config.json" "$t/broken" && printf 'garbage' >"$t/broken/model.safetensors"
expect 2 'dim: .*has its own shape' '... whose shape is its own' model inspect "$t/half" --dim 48
expect 3 'broken/model.safetensors' 'a directory whose weights are broken' model inspect "$t/broken"
rm "$t/broken/model.safetensors"
expect 0 '2 decoder layers' '... but none are needed' model inspect "$t/broken"
expect 0 '^stored as F16 .[0-9]+ tensors., [0-9]+ bytes' '... stored in halves' model inspect "$t/half"
expect 0 '^loaded: [0-9]+ bytes as F32, F16, with --dtype float32 [0-9]+ bytes' '... which stay so in memory' model inspect "$t/half"
expect 2 'expected one of auto, float32' 'no other type is computed with' generate "$t/half" --text x --dtype f8
expect 0 '0 to 1 +2 alike' 'the tree of a file, by the names of its tensors' model inspect "$t/half/model.safetensors"
expect 0 'c_attn +bias .96. F16, weight .32,96. F16' '... with shapes and types' model inspect "$t/half/model.safetensors"
expect 0 'tensors' 'one file becomes one file' model convert "$m/model.safetensors" "$t/one.safetensors"
expect 2 'ends in .safetensors or .bin' 'of a known kind' model convert "$m/model.safetensors" "$t/one.npy"
expect 0 'tensors' 'a .bin, as torch.save has them' model convert "$m/model.safetensors" "$t/one.bin"
expect 0 '^collections OrderedDict$' '... with nothing unusual in its pickle' model inspect --pickle "$t/one.bin"
expect 0 '0 of [0-9]+ tensors differ' '... which holds the same' model compare "$t/one.safetensors" "$t/one.bin"
expect 0 'tensors' '... and becomes safetensors again' model convert "$t/one.bin" "$t/back.safetensors"
n=$((n + 1))
if cmp -s "$t/one.safetensors" "$t/back.safetensors"; then echo "ok $n - ... byte for byte"; else echo "not ok $n - ... byte for byte"; fi
mkdir "$t/bin"
expect 0 'pytorch_model.bin: ' 'a directory becomes a .bin' model convert "$m" "$t/bin/pytorch_model.bin"
cp "$m/config.json" "$t/bin"
expect 0 '0 of [0-9]+ tensors differ' '... which is a model' model compare "$m" "$t/bin"
expect 3 'nowhere' 'a .bin in no directory' model convert "$m" "$t/nowhere/x.bin"
expect 2 "'F8', expected F16" 'an unknown dtype' model convert "$m" "$t/x" --dtype F8
expect 3 'nowhere' 'a model that is not there' model list "$t/nowhere"
printf 'PK\3\4 no zip at all' >"$t/bad.bin"
expect 3 'bad.bin: a zip without its directory' 'a broken file' model list "$t/bad.bin"
expect 3 'bad.bin: a zip without its directory' 'a broken file, scanned' model inspect --pickle "$t/bad.bin"
expect 2 'two PATHs' 'too few paths' model compare "$m"

# A tokenizer's ids, of one that the probe's smoke run trains.
"$VERNIER" run probes/typ --preset smoke --quiet --out "$t/typ" >/dev/null 2>&1
v=$(dirname "$(find "$t/typ" -name vocab.json | head -n 1)")
expect 0 '^ +[0-9]+ +0 +[0-9]+  ' 'a text in tokens' tokenize "$v" --text 'int x = 1;'
expect 0 'the same bytes' 'every byte comes back' tokenize "$v" "$VERNIER" --check
expect 0 '"begin": 0' 'as JSON' tokenize "$v" --text 'a"b' --json
expect 0 'contains 1 special' 'special tokens in the text are reported' tokenize "$v" --text 'a </s>'
expect 0 '^4$' 'special tokens taken as such, and counted' tokenize "$v" --text 'a</s><s>b' --special-in-text --count
expect 2 'byte 2 of the text begins the special token </s>' 'special tokens refused' tokenize "$v" --text 'a </s>' --no-special
expect 2 'exclude each other' 'both at once' tokenize "$v" --text a --no-special --special-in-text
expect 0 '^ +0 +-1 +-1  <s>' 'with what the model wants around a text' tokenize "$v" --text a --wrap
expect 0 '^4$' 'two texts cut to nothing but their frame' tokenize "$v" --text 'a b' --pair 'c d' --most 4 --count
expect 2 'the second text has 2 ids' 'a text that is too short to be cut' tokenize "$v" --text 'a b c d e f' --pair 'c d' --most 5 --cut second
expect 2 'one whole text' 'checking what is cut' tokenize "$v" --text a --check --wrap
expect 3 'nowhere' 'a tokenizer that is not there' tokenize "$t/nowhere" --text x
expect 0 '^ +4 +[0-9.]+ % +[0-9]+ +[^ ]' 'guesses for a mask' fill "$v" --text 'int <mask> = 0;'
expect 0 '^ +4 +[0-9.]+ % ' '... by a file of weights, its config and tokenizer beside it' fill "$v/model.safetensors" --text 'int <mask> = 0;'
long='int <mask> = 0; '
for i in 1 2 3 4 5 6 7; do long="$long$long"; done
expect 0 '^the text has [0-9]+ tokens; its first [0-9]+ fit$' 'a text longer than the model is cut to what fits' fill "$v" --text "$long"
cut=$(sed 's/.*first //; s/ fit//' "$t/err")
mkdir "$t/pad" && cp "$v"/*.json "$v"/merges.txt "$v/model.safetensors" "$t/pad" && sed 's/"pad_token_id":[^,]*/"pad_token_id": 6/' "$v/config.json" >"$t/pad/config.json"
expect 0 "its first $((cut - 5)) fit" '... which is less where padding has a later id' fill "$t/pad" --text "$long"
expect 0 '^ +4 +[0-9.]+ % ' '... and a short text is filled' fill "$t/pad" --text 'int <mask> = 0;'
expect 2 'no <mask>' 'nothing to fill' fill "$v" --text 'int x;'
echo 'int x; </s>' >"$t/plain"
expect 3 "$t/plain: the text has no <mask>" '... in a file, whose fault it is' fill "$v" "$t/plain"
expect 3 'standard input: the text has no <mask>' '... nor on standard input' fill "$v" </dev/null
expect 3 "$t/plain: byte 7 of the text begins" 'a file with special tokens that are refused' tokenize "$v" "$t/plain" --no-special
expect 3 'no decoder' 'generating without a decoder' generate "$v" --text x
expect 3 'nowhere' 'generating with a model that is not there' generate "$t/nowhere" --text x
head -c 100 /dev/urandom >"$t/x.model"
expect 3 'x.model: byte [0-9]+: ' 'a broken SentencePiece model' tokenize "$t/x.model" --text x
echo "1..$n"
