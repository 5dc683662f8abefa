# Generation as a folder configures it and as options say, special tokens in prompts, and filling.  TAP on stdout.
. tests/cli/tap

# folder FAMILY CLASS: a small model of plain PyTorch with a tokenizer of eleven tokens
folder() {
    d=$t/$1
    mkdir -p "$d"
    cp "tests/golden/torch/$1/config.json" "tests/golden/torch/$1/model.safetensors" "$d"
    echo '{"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "<mask>": 4, "a": 5, "b": 6, "c": 7, "d": 8, "e": 9, "f": 10}' >"$d/vocab.json"
    echo '#version: 0.2' >"$d/merges.txt"
    echo "{\"tokenizer_class\": \"$2\", \"bos_token\": \"<s>\", \"eos_token\": \"</s>\", \"unk_token\": \"<unk>\", \"pad_token\": \"<pad>\", \"mask_token\": \"<mask>\"}" >"$d/tokenizer_config.json"
}
folder gpt2 GPT2Tokenizer
folder roberta RobertaTokenizer
g=$t/gpt2
says() { echo "{\"bos_token_id\": 0, \"eos_token_id\": 2, \"pad_token_id\": 1$1}" >"$g/generation_config.json"; }
written() { "$VERNIER" generate "$g" --text abc --json "$@" 2>"$t/err" | sed 's/.*"ids": \(\[[^]]*\]\).*/\1/'; }
same() { # NAME WANT WORDS...: the ids that the words give
    name=$1 want=$2
    shift 2
    written "$@" >"$t/out"
    [ "$(cat "$t/out")" = "$want" ]
    result $? "$name"
}

# A folder's keys do what the options of the same name do, and an option counts more.
says ', "max_new_tokens": 5'
plain=$(written)
same 'the limit of the folder' "$plain" --max-new-tokens 5
[ "$(written --max-new-tokens 2)" != "$plain" ]
result $? '... which a typed one outdoes'
same '... and which may be ignored' "$(written --max-new-tokens 7)" --no-generation-config --max-length 10
first=$(echo "$plain" | sed 's/\[\([0-9]*\).*/\1/')
says ", \"max_new_tokens\": 5, \"suppress_tokens\": [$first]"
suppressed=$(written)
[ "$suppressed" != "$plain" ] && ! echo "$suppressed" | grep -q "\b$first\b"
result $? 'a suppressed token does not occur'
says ', "max_new_tokens": 5'
same '... by an option as by the folder' "$suppressed" --suppress-tokens "$first"
same 'a token that ends' "[$first]" --eos-token-id "$first,2"
says ", \"max_new_tokens\": 5, \"eos_token_id\": [2, $first]"
same '... in a list of the folder' "[$first]"
says ", \"max_new_tokens\": 4, \"no_repeat_ngram_size\": 1, \"forced_eos_token_id\": 2"
written | tr -d '[] ' | tr ',' '\n' >"$t/ids"
[ -z "$(sort "$t/ids" | uniq -d)" ] && [ "$(tail -n 1 "$t/ids")" = 2 ]
result $? 'no token comes twice, and the last is the end'
says ', "max_new_tokens": 5, "do_sample": true, "temperature": 1.5'
same 'a folder that samples, kept from it' "$plain" --greedy
same '... by a temperature of zero, too' "$plain" --temperature 0
expect 2 'num_beams .--num-beams. and do_sample .*generation_config.json.: beam search and sampling' 'beams do not sample' generate "$g" --text abc --num-beams 2
expect 0 'do_sample = false .--greedy.' 'origins are reported' generate "$g" --text abc --greedy --verbose
expect 0 'max_new_tokens = 5 .*generation_config.json' '... those of the folder' generate "$g" --text abc --verbose
expect 2 'suppress-tokens is .x., expected token ids' 'ids that are none' generate "$g" --text abc --suppress-tokens x
expect 2 'temperature' 'a temperature below zero' generate "$g" --text abc --temperature -1
says ', "num_beam_groups": 2'
expect 3 'generation_config.json: num_beam_groups is 2, which means group beam search' 'group beam search' generate "$g" --text abc
expect 0 '"ids"' '... of a folder that is not asked' generate "$g" --text abc --no-generation-config --max 3 --json
says ', "mine": 2'
expect 0 'mine has no effect' 'a key that has no effect' generate "$g" --text abc --max 3
echo '{"eos_token_id": 2, "num_beams": "two"}' >"$g/generation_config.json"
expect 3 'generation_config.json: num_beams' 'a number that is none' generate "$g" --text abc
echo '{"eos' >"$g/generation_config.json"
expect 3 'generation_config.json' 'a file that is cut' generate "$g" --text abc
says ', "num_return_sequences": 3'
expect 3 'num_return_sequences' 'more results than beams' generate "$g" --text abc
says ', "num_beams": 3, "num_return_sequences": 3, "max_new_tokens": 4'
[ "$(written | wc -l)" = 3 ]
result $? 'as many results as the folder wants'
says ''
expect 2 'prompt has 3 tokens, and max_length is 2' 'a prompt beyond the length' generate "$g" --text abc --max-length 2

# Special tokens in prompts.
[ "$(written --max 3)" = "$(written --max 3 --special-as-text)" ] && "$VERNIER" generate "$g" --text 'ab</s>c' --max 3 --json >"$t/out" 2>"$t/err" && ! grep -qF "$(written --max 3)" "$t/out"
result $? 'a special token in the prompt is that token'
expect 2 'special token </s>' '... or refused' generate "$g" --text 'ab</s>c' --no-special
printf 'ab</s>c' >"$t/text"
expect 3 "$t/text: .*special token </s>" '... in a file' generate "$g" "$t/text" --no-special
expect 2 'exclude each other' '... but not both' generate "$g" --text ab --no-special --special-as-text
stop=$("$VERNIER" generate "$g" --text abc --max 6 --suppress-tokens 0,1,2,3,4)
one=$(printf %.1s "$stop")
[ "$("$VERNIER" generate "$g" --text abc --max 6 --suppress-tokens 0,1,2,3,4 --stop "$one")" = "$one" ]
result $? 'a text ends a result'

# Filling.
expect 0 '^ *1 .*' 'a mask' fill "$t/roberta" --text 'a<mask>b'
"$VERNIER" fill "$t/roberta" --text 'a<mask>b<mask>' --top 2 >"$t/out" 2>"$t/err"
[ "$(grep -c % "$t/out")" = 4 ]
result $? 'several masks'
expect 2 'the text has no <mask>' 'no mask' fill "$t/roberta" --text 'ab'
expect 2 'no <mask> of the text is within' 'a mask behind the last position' fill "$t/roberta" --text 'abcdefabcdef<mask>'
expect 2 'special token </s>; only <mask>' 'another special token' fill "$t/roberta" --text 'a</s><mask>' --no-special
"$VERNIER" fill "$t/roberta" --text 'a<mask>' >"$t/alone" 2>"$t/err"
expect 0 '^ *1 .*' 'a mask before a second text' fill "$t/roberta" --text 'a<mask>' --pair bc
! cmp -s "$t/alone" "$t/out"
result $? '... which changes the prediction'
cp "$t/out" "$t/paired"
expect 0 '^ *1 .*' '... and again by its order' fill "$t/roberta" --text 'a<mask>' --pair cb
! cmp -s "$t/paired" "$t/out"
result $? '... not by its length alone'
expect 0 '^ *2 .*' 'a mask in the second text alone, at its own byte' fill "$t/roberta" --text a --pair 'bc<mask>' --top 1
"$VERNIER" fill "$t/roberta" --text 'a<mask>' --pair 'b<mask>' --top 1 >"$t/out" 2>"$t/err"
[ "$(grep -c '^ *1 .*%' "$t/out")" = 2 ] && [ ! -s "$t/err" ]
result $? 'masks in both texts'
expect 0 'the texts have 5 tokens; only 4 fit' 'a pair that is too long' fill "$t/roberta" --text 'a<mask>b' --pair cd
expect 2 'no <mask> of the texts is within' '... by its only mask' fill "$t/roberta" --text ab --pair 'abcdefabcdef<mask>'
expect 2 'the texts have no <mask>' 'a pair without a mask' fill "$t/roberta" --text ab --pair cd
expect 2 'byte 1 of --pair begins the special token </s>' 'a special token in the second text' \
    fill "$t/roberta" --text '<mask>' --pair 'a</s>' --no-special
sed 's/"<mask>": 4/"[MASK]": 4/' "$t/roberta/vocab.json" >"$t/v" && mv "$t/v" "$t/roberta/vocab.json"
sed 's/<mask>/[MASK]/' "$t/roberta/tokenizer_config.json" >"$t/v" && mv "$t/v" "$t/roberta/tokenizer_config.json"
expect 0 '^ *1 .*' 'a mask of another spelling' fill "$t/roberta" --text 'a[MASK]b'
echo "1..$n"
