# vernier attend --html: what it writes, and, where there is a Chromium, the page worked with and compared with
# maps.safetensors.  TAP on stdout.
. tests/cli/tap
tests=$(dirname "$VERNIER")/tests
for maker in "$tests/analysis/test_attend" "$tests/adapter/test_disk"; do
    if [ ! -x "$maker" ]; then echo "ok 1 - explorer # SKIP $maker is not built"; exit 0; fi
done
ask() { "$VERNIER" attend --overwrite --out "$t/o" --quiet "$@"; }
mkdir "$t/m" "$t/p"
"$tests/analysis/test_attend" "$t/m" >/dev/null && "$tests/adapter/test_disk" "$t/p" 2>/dev/null || exit 1

gpt2="--model $t/m/gpt2 --ids 1,2"
expect 2 'html and --do exclude each other' 'a page of an intervention' $gpt2 --do head:0.0=0 --html "$t/x.html"
expect 3 'is not a directory' 'a page below a file' $gpt2 --html "$t/m/gpt2/config.json/x.html"
expect 3 'is a directory, expected a file' 'a page where a directory is' $gpt2 --html "$t/m"
[ "$(ls -A "$t")" = "$(printf 'err\nm\nout\np')" ]
result $? '... and nothing is left behind'
vernier=$(realpath "$VERNIER")
mkdir "$t/alone" && (cd "$t/alone" && "$vernier" attend $gpt2 --html x.html) >"$t/out" 2>"$t/err" &&
    [ "$(ls -A "$t/alone")" = x.html ] && ! grep -q report "$t/err"
result $? 'a page alone comes without figures'
rm -r "$t/alone"

# A name and texts that would end the script, break the line, turn it, or are no text.
hard='</script><i>'
mkdir -p "$t/$hard" && cp "$t/m/roberta/"* "$t/$hard"
printf '</script>"\\\047\n' >"$t/texts"
printf 'a\tb\001\342\200\256\303\050\377 x \n\360\237\230\200 e\314\201\327\251\n' >>"$t/texts"
expect 0 '' 'texts that are hard to show' --model "$t/$hard" --texts "$t/texts" --html "$t/pages/texts.html"
page=$t/pages/texts.html
[ "$(grep -c '</script' "$page")" = 2 ] && ! grep -Eq 'https?:|src=|<i>|<link|@import' "$page" &&
    iconv -f utf-8 -t utf-8 "$page" >/dev/null
result $? '... one file that brings nothing in, and is UTF-8'
[ "$(ls -A "$t/pages")" = texts.html ]
result $? '... in a folder made for it, whole'
expect 0 '' 'a page without a prefix' --model "$t/p/gpt2" --adapter "$t/p/gpt2-prefix" --ids 0,5,6 --no-prefix \
    --html "$t/bare.html"
grep -q '"bare":true' "$t/bare.html" && grep -q '"part":"decoder","prefix":0,"causal":true,"rows":\["0","5","6"\]' "$t/bare.html"
result $? '... holds none of it'
diff='fix
-int x ;
+int y ;'
expect 0 '' 'sides of a change' --model "$t/m/roberta" --text "$diff" --by sides --html "$t/sides.html"
grep -q '"rows":\["message","added","removed","special"\],"layers"' "$t/sides.html"
result $? '... by their names'
expect 0 '' 'a decoder by sides' --model "$t/m/gpt2" --tokenizer "$t/m/roberta" --text "$diff" --by sides --html "$t/sides.html"
grep -q '"part":"decoder","prefix":0,"causal":false,"rows":\["message",' "$t/sides.html"
result $? '... where all may look at all'

if ! command -v chromium >/dev/null; then
    result 0 'the page in a browser # SKIP no chromium'
    echo "1..$n"
    exit 0
fi
floats() { # FILE NAME: a tensor of 32 bits
    head=$(od -A n -t u8 -N 8 "$1" | tr -d ' ')
    range=$(dd if="$1" bs=1 skip=8 count="$head" 2>/dev/null |
        sed -n "s/.*\"$2\":{[^}]*\"data_offsets\":\[\([0-9]*\),\([0-9]*\)\].*/\1 \2/p")
    od -A n -v -t f4 -j $((8 + head + ${range% *})) -N $((${range#* } - ${range% *})) "$1" |
        tr -s ' \n' ',' | sed 's/^,//; s/,$//'
}
# drive NAME WIDTH [MEMBERS [base.]]: the page with a driver behind it, in a frame that may be smaller than a window
drive() {
    {
        sed '/^<\/body>/,$d' "$t/pages/$1.html"
        echo "<script>const given = {name: '$1', $3 maps: {"
        for map in ${3:+layer.0.head.0 layer.0.head.1 layer.1.head.0 layer.1.head.1}; do
            for of in '' $4; do echo "'$of$map': [$(floats "$t/o/maps.safetensors" "$of$map")],"; done
        done
        echo '}};</script><script>'
        cat tests/cli/explorer.js
        echo '</script></body></html>'
    } >"$t/pages/$1-driven.html"
    echo "<iframe src='$1-driven.html' style='border:0;width:$2px;height:900px'></iframe>" >>"$t/pages/all.html"
}
echo '<!DOCTYPE html><body>' >"$t/pages/all.html"
drive texts 900
expect 0 '' 'a model and its base' --model "$t/m/tuned" --base "$t/m/roberta" --text 'int x = x ;' \
    --html "$t/pages/base.html"
drive base 1200 "queries: 7, keys: 7, prefix: 0, word: 'x', times: '2 tokens', hits: 4," base.
expect 0 '' 'a prefix and the model without' --model "$t/p/gpt2" --adapter "$t/p/gpt2-prefix" --base "$t/p/gpt2" \
    --ids 0,5,6,7,5 --html "$t/pages/prefix.html"
drive prefix 360 "queries: 5, keys: 8, prefix: 3, word: '5', times: '2 tokens', hits: 4," base.
expect 0 '' 'cross-attention' --model "$t/m/bart" --ids 1,2,3 --source-ids 4,5,6,7 --part cross \
    --html "$t/pages/cross.html"
drive cross 700 "queries: 3, keys: 4, prefix: 0, word: '6', times: '1 token', hits: 1,"
expect 0 '' 'cross-attention by words' --model "$t/m/bart" --tokenizer "$t/m/roberta" --text 'int x ; x = y' \
    --source 'int x = 1 ; return y ;' --part cross --by words --html "$t/pages/words.html"
drive words 700 "queries: 8, keys: 10, prefix: 0, word: 'return', times: '1 word', hits: 1, by: 'words',"
expect 0 '' 'a prefix, its base, and words' --model "$t/p/gpt2" --adapter "$t/p/gpt2-prefix" --base "$t/p/gpt2" \
    --tokenizer "$t/m/roberta" --ids 0,5,6,2,7,5,6,0,5 --by words --html "$t/pages/both.html"
drive both 360 "queries: 6, keys: 9, prefix: 3, word: '</s>', times: '1 word', hits: 2, by: 'words'," base.

chromium --headless --no-sandbox --disable-gpu --user-data-dir="$t/browser" --window-size=1300,1000 \
    --virtual-time-budget=200000 --allow-file-access-from-files --dump-dom "file://$t/pages/all.html" \
    >"$t/out" 2>"$t/err"
if ! grep -q '<iframe' "$t/out"; then
    result 0 'the page in a browser # SKIP chromium does not run here'
    echo "1..$n"
    exit 0
fi
sed -n '/^not ok - \|^ok - /p' "$t/out" >"$t/said"
while read -r verdict; do
    case $verdict in ok*) result 0 "${verdict#ok - }" ;; *) result 1 "${verdict#not ok - }" ;; esac
done <"$t/said"
[ "$(grep -c '^end' "$t/out")" = 6 ]
result $? 'six pages to the end'
echo "1..$n"
