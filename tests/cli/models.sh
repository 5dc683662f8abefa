# Models by path and by hub name, their refusals, and UniXcoder's modes.  TAP on stdout.
. tests/cli/tap
unset HF_HUB_CACHE
HF_HOME=$t
export HF_HOME
model=tests/golden/torch/roberta
cache=$t/hub/models--org--small
mkdir -p "$cache/refs" "$cache/snapshots"
printf abc >"$cache/refs/main"
cp -r $model "$cache/snapshots/abc"

expect 0 'position_embeddings' 'a directory' model inspect $model
expect 0 'position_embeddings' "a name in the hub's cache" model inspect org/small
expect 0 'roberta.embeddings' 'its tensors' model list org/small
expect 0 '0 of [0-9]+ tensors differ' 'which are those of the directory' model compare org/small $model
where="org/other.*$t/hub/models--org--other"
expect 3 "$where" 'a name that is not there, inspected' model inspect org/other
expect 3 "$where" '... listed' model list org/other
expect 3 "$where" '... as a tokenizer' tokenize org/other --text x
expect 3 "$where" '... to generate' generate org/other --text x
expect 3 "$where" '... to fill' fill org/other --text x

refuse() {
    mkdir -p "$t/bad"
    echo "{\"model_type\": \"roberta\", \"$1\": $2}" >"$t/bad/config.json"
    expect 3 "bad/config.json: .*${3:-$1}" "$1 is refused by name" model inspect "$t/bad"
}
refuse is_decoder true
refuse quantization_config '{"bits": 8}'
refuse position_embedding_type '"relative_key"'
refuse hidden_act '"mish"'
refuse max_position_embeddings 2 'positions is 2'

expect 2 'decoder-only, encoder-decoder' 'an unknown mode' generate $model --mode sideways --text x
u=${GOLDEN:-${VERNIER_SHARED:-../shared}/golden}/models/unixcoder
if [ -d "$u" ]; then
    expect 0 '"ids": \[' 'UniXcoder continues' generate "$u" --mode decoder-only --text 'int x = 0;' --max 4 --json
    expect 0 '"score"' 'UniXcoder reads, then writes' generate "$u" --mode encoder-decoder --text 'int x' --max 4 --beams 2 --json
    expect 2 'no decoder; .* use --mode' '... asks for its mode' generate "$u" --text 'int x'
    expect 2 'leaves no room' '... has only its positions' generate "$u" --mode decoder-only --max 80 --text 'int x'
fi
echo "1..$n"
