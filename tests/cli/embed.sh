# vernier embed: vectors, cosines, a search, files in and out, and what is refused.  TAP.
. tests/cli/tap
built=$(dirname "$VERNIER")/tests
if [ ! -x "$built/analysis/test_attend" ]; then echo "ok 1 - embed # SKIP $built/analysis/test_attend is not built"; exit 0; fi
mkdir "$t/m" && "$built/analysis/test_attend" "$t/m" >"$t/out" 2>"$t/err" || exit 1
m=$t/m/roberta
ask() { "$VERNIER" embed "$@"; }

expect 0 '^\{"text": "a \\"dog\\"", "embedding": \[-?[0-9]' 'a text as a line of JSON' "$m" --text 'a "dog"' --quiet
expect 0 'has no modules.json: mean pooling' 'a folder without modules.json has a remark' "$m" --text x
printf 'int x;\n\nfoo bar\nint x;\n' >"$t/lines"
ask "$m" "$t/lines" --quiet >"$t/out" 2>"$t/err" && [ "$(wc -l <"$t/out")" = 4 ] && grep -q '^{"text": "", ' "$t/out" &&
    [ "$(sed -n 1p "$t/out")" = "$(sed -n 4p "$t/out")" ]
result $? 'one vector for each line, an empty one too, and equal texts have equal vectors'
cp "$t/out" "$t/all"
ask "$m" --quiet <"$t/lines" >"$t/out" 2>"$t/err" && cmp -s "$t/out" "$t/all"
result $? 'standard input is read like a file'
printf '{"text": "int x;"}\n{"text": ""}\n{"text": "foo bar"}\n{"text": "int x;"}\n' >"$t/rows.jsonl"
ask "$m" "$t/rows.jsonl" --quiet >"$t/out" 2>"$t/err" && cmp -s "$t/out" "$t/all"
result $? 'and so are JSON objects'
sed 's/text/msg/' "$t/rows.jsonl" >"$t/msg.jsonl"
ask "$m" "$t/msg.jsonl" --field msg --quiet >"$t/out" 2>"$t/err" && cmp -s "$t/out" "$t/all"
result $? '... with another member'
expect 3 "msg.jsonl:1: has no 'text'; --field names" 'an object without the member is refused' "$m" "$t/msg.jsonl" --quiet
expect 3 'holds no JSON objects' '--field and a file of lines' "$m" "$t/lines" --field msg --quiet
expect 3 'there are no texts' 'an empty file is refused' "$m" /dev/null --quiet

expect 0 '^\{"cosine": 1.000000, "first": "int x;", "second": "int x;"\}$' '--cosine' "$m" --text 'int x;' --text 'int x;' --cosine --quiet
ask "$m" "$t/lines" --cosine --quiet >"$t/out" 2>"$t/err" && [ "$(wc -l <"$t/out")" = 6 ]
result $? '... of each pair'
expect 0 '^\{"rank": 1, "cosine": 1.000000, "number": 3, "text": "foo bar"\}$' '--query finds the text itself' \
    "$m" "$t/lines" --query 'foo bar' --top 2 --quiet
[ "$(wc -l <"$t/out")" = 2 ]
result $? '... and --top limits the list'
expect 2 'exclude each other' '--query and --cosine' "$m" --text a --query b --cosine
expect 2 '--top requires --query' '--top alone' "$m" --text a --top 3
expect 2 'one of them has the texts' '--text and a FILE' "$m" "$t/lines" --text a

ask "$m" "$t/lines" --npy "$t/v.npy" --quiet >"$t/out" 2>"$t/err" && [ ! -s "$t/out" ] && head -c 128 "$t/v.npy" | grep -q "'shape': (4, "
result $? '--npy writes one row for each text'
ask "$m" "$t/lines" --npy "$t/v.npy" --pooling cls --quiet >"$t/out" 2>"$t/err"
[ $? = 2 ] && grep -q -- --overwrite "$t/err"
result $? '... and keeps another file'
for way in cls max mean mean_sqrt_len_tokens weightedmean lasttoken; do
    ask "$m" --text 'int x;' --pooling $way --quiet
done >"$t/out" 2>"$t/err"
[ "$(sort -u "$t/out" | wc -l)" = 6 ]
result $? 'six ways of pooling give six vectors'
ask "$m" --text 'int x;' --pooling median --quiet >"$t/out" 2>"$t/err"
[ $? = 2 ] && grep -q weightedmean "$t/err"
result $? '... another is refused with their names'
ask "$m" --text 'int x; foo' --max-length 4 --pooling lasttoken --quiet | sed 's/.*"emb/"emb/' >"$t/one"
ask "$m" --text 'int x; foo' --pooling lasttoken --quiet | sed 's/.*"emb/"emb/' >"$t/two"
! cmp -s "$t/one" "$t/two"
result $? '--max-length cuts the text'
expect 3 'has an encoder and a decoder' 'an encoder-decoder is refused' "$t/m/bart" --text a --quiet
expect 2 "has no prompt 'query'" 'a prompt that the folder lacks' "$m" --text a --prompt query --quiet
expect 3 '(no such|No such|neither|nothing)' 'a model that is not there' "$t/none" --text a
echo "1..$n"
