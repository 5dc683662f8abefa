# vernier attend on the tiny models that tests/analysis/test_attend.c saves.  TAP on stdout.
. tests/cli/tap
maker=$(dirname "$VERNIER")/tests/analysis/test_attend
if [ ! -x "$maker" ]; then echo "ok 1 - attend # SKIP $maker is not built"; exit 0; fi
expect() {
    code=$1 pattern=$2 name=$3
    shift 3
    "$VERNIER" attend --overwrite --out "$t/o" "$@" >"$t/out" 2>"$t/err"
    got=$?
    [ $got = "$code" ] && cat "$t/out" "$t/err" | grep -Eq -- "$pattern"
    result $? "$name (exit $got)"
    [ "$code" = 0 ] || { [ "$(wc -l <"$t/err")" = 1 ] && [ ! -s "$t/out" ] && [ ! -e "$t/o" ]; }
    result $? '... in one line, before anything is written, or no error'
}
mkdir "$t/m"
"$maker" "$t/m" >/dev/null || exit 1
text='int x = 1 ; return y ;'

expect 2 '--model DIR is needed' 'no model' --text "$text"
expect 3 "$t/none/config.json: No such file" 'no such directory' --model "$t/none" --text "$text"
expect 2 'expected --text TEXT or --ids 1,2,3' 'neither text nor ids' --model "$t/m/roberta"
expect 2 'one is enough' 'both' --model "$t/m/roberta" --text "$text" --ids 1
expect 2 '--text is empty' 'an empty text' --model "$t/m/roberta" --text ''
expect 2 'encoder has layers 0 to 1' 'layer out of range' --model "$t/m/roberta" --text "$text" --layer 2
expect 2 'encoder has heads 0 to 3' 'head out of range' --model "$t/m/roberta" --text "$text" --head 0,4
expect 2 '1 is there twice' 'a layer twice' --model "$t/m/roberta" --text "$text" --layer 1,1
expect 2 'expected a number, a list' 'a layer that is no number' --model "$t/m/roberta" --text "$text" --layer last
expect 2 'positions for 22' 'a text that is too long' --model "$t/m/roberta" --text "$text $text $text $text $text"
expect 3 'no tokenizer .*--tokenizer' 'a text without a tokenizer' --model "$t/m/gpt2" --text "$text"
expect 3 'has no tokenizer .tokenizer.json' 'no tokenizer where one should be' --model "$t/m/gpt2" --text "$text" --tokenizer "$t"
expect 2 '"x" is not a token id' 'ids that are none' --model "$t/m/gpt2" --ids 1,x
expect 3 'token 1 is id 300; the model.s vocabulary ends at 299' 'an id too large' --model "$t/m/gpt2" --ids 1,300
expect 2 'has no such part' 'a part that is not there' --model "$t/m/gpt2" --ids 1 --part encoder
expect 2 'expected one of encoder, decoder, cross' 'an unknown part' --model "$t/m/gpt2" --ids 1 --part side
expect 2 'expected --source' 'cross-attention without a source' --model "$t/m/bart" --ids 1,2 --part cross
expect 2 'is no encoder-decoder' 'a source for a model that reads none' --model "$t/m/gpt2" --ids 1 --source-ids 2
expect 2 'expected 1e-06 to 1' 'a colour scale without length' --model "$t/m/gpt2" --ids 1 --limit 0
for list in jpg svg, ''; do expect 2 "expected svg, pdf or png, or some" "formats '$list'" --model "$t/m/gpt2" --ids 1 --format "$list"; done
echo '{"nodes": [[1, 2], [3, 5]], "edges": [[1, 0]]}' >"$t/flow.json"
flow() { echo "$1" >"$t/bad.json"; expect 3 "$2" "$3" --model "$t/m/roberta" --ids 0,5,6,7,8,2 --data-flow "$t/bad.json"; }
flow '[]' 'is not an object with nodes and edges' 'a data flow that is none'
flow '{"nodes": []}' 'has no nodes' 'a data flow without nodes'
flow '{"nodes": [[1]]}' 'nodes.0. is not a pair of whole numbers' 'half a node'
flow '{"nodes": [[1, 9]]}' 'node 0 names tokens 1 to 9 of 6' 'a node behind the text'
flow '{"nodes": [[1, 2]], "edges": [[0, 1]]}' 'edge 0 joins nodes 0 and 1 of 1' 'an edge to nowhere'
expect 2 'a gpt2 model does not read data flow' 'a model that reads none' --model "$t/m/gpt2" --ids 0,5,6,7,8,2 --data-flow "$t/flow.json"
expect 2 'sweep does not go with --data-flow' 'data flow and a sweep' --model "$t/m/roberta" --ids 0,5,6,7,8,2 --data-flow "$t/flow.json" --sweep heads
expect 0 '' 'data flow' --model "$t/m/roberta" --ids 0,5,6,7,8,2 --data-flow "$t/flow.json" --layer 0 --head 0 --json
grep -q '"node 1: ' "$t/out" && [ "$(grep -c '"id":' "$t/out")" = 8 ]
result $? '... whose nodes are rows with the names of their tokens'
rm -rf "$t/o"
expect 3 'roberta with 2 layers of 4 heads.*gpt2' 'a base of another kind' --model "$t/m/roberta" --text "$text" --base "$t/m/gpt2"

expect 0 '^ +1 +3( +[0-9.]+){13}$' 'all heads' --model "$t/m/roberta" --text "$text"
[ "$(wc -l <"$t/out")" = 9 ] && [ "$(wc -l <"$t/err")" = 1 ]
result $? '... a line for each, the path of the page on stderr'
all=yes
for f in layer-0 layer-1 heads; do for e in svg pdf png; do [ -s "$t/o/figures/$f.$e" ] || all=no; done; done
[ $all = yes ] && [ -s "$t/o/maps.safetensors" ] && grep -q '<svg' "$t/o/report.html"
result $? '... figures in three formats, the maps, a page'
head -n 1 "$t/o/heads.csv" | grep -q '^layer,head,entropy,distance,first,prefix,special,.*,repeat_induction,zeroed,gradient' && [ "$(wc -l <"$t/o/heads.csv")" = 9 ]
result $? '... heads.csv'
mv "$t/o/report.html" "$t/report.html"
for list in svg pdf,png; do
    rm -r "$t/o"
    expect 0 '^ +1 +3 ' "figures as $list" --model "$t/m/roberta" --text "$text" --format $list
    found=$(cd "$t/o/figures" && echo layer-0.*)
    [ "$found" = "$(echo "layer-0.$list" | sed 's/,/ layer-0./')" ] && [ "$(cd "$t/o/figures" && ls | sed 's/.*\.//' | sort -u | paste -sd ,)" = $list ] && cmp -s "$t/o/report.html" "$t/report.html"
    result $? '... and no others, on the same page'
done
rm -r "$t/o"
expect 0 '^ +1 +mean ' 'the mean of one layer' --model "$t/m/roberta" --text "$text" --layer 1 --head mean --quiet
[ ! -s "$t/err" ] && [ "$(cd "$t/o/figures" && echo *.svg)" = 'layer-1.svg through.svg' ]
result $? '... and no more, quietly'
expect 0 '"part":.*"cross"' 'cross-attention as JSON' --model "$t/m/bart" --ids 1,2 --source-ids 5,6,7 --part cross --json
expect 0 '^ +0 +0 ' 'a target text for a decoder' --model "$t/m/bart" --text 'int x' --source "$text" --part decoder --tokenizer "$t/m/roberta"
expect 0 '^ +0 +0 ' "an encoder-decoder's encoder" --model "$t/m/bart" --text "$text" --tokenizer "$t/m/roberta"
expect 0 '^ +0 +1 .* 0\.000 ' 'a head that did not move from the base' --model "$t/m/tuned" --base "$t/m/roberta" --text "$text"
grep -Eq '^ +0 +0 .* 0\.[1-9]' "$t/out" && grep -q 'Largest changes' "$t/o/report.html" && [ -s "$t/o/figures/layer-0-change.svg" ]
result $? '... and one that did'
grep -q 'base_induction.*,shift' "$t/o/heads.csv"
result $? '... with the numbers of both'

# By words, lines and sides of a change.
rm -rf "$t/o"
expect 2 'expected one of words, lines, sides' 'an unknown kind of group' --model "$t/m/roberta" --text "$text" --by files
expect 2 'neither <add>, <del> or <keep> nor the lines of a diff' 'sides of a text without' --model "$t/m/roberta" --text "$text" --by sides
expect 3 'needs a tokenizer' 'words of bare ids' --model "$t/m/gpt2" --ids 1,2 --by words
expect 2 '--by and --texts exclude each other' 'groups of many texts' --model "$t/m/roberta" --texts "$t/m" --by lines
expect 2 '--no-prefix and --compare exclude each other' 'a comparison without prefix' --compare "$t/m/roberta" --text x --no-prefix "$t/m/tuned"
expect 2 "no prefix in front of the encoder's keys" 'no prefix to take away' --model "$t/m/roberta" --text "$text" --no-prefix
diff='fix
-int x ;
+int y ;'
expect 0 '^rows are lines' 'a diff by lines' --model "$t/m/tuned" --base "$t/m/roberta" --text "$diff" --by lines --number changed
sed -n 2p "$t/out" | grep -q ' special  changed  .*shift' && sed -n 2p "$t/o/heads.csv" | tr -d '\r' | grep -Eq ',0\.[0-9]+,lines$' && [ -s "$t/o/figures/number-changed.svg" ]
result $? '... with the mass on changed lines, and what the rows are'
grep -q 'queries of a line are averaged' "$t/o/report.html" && grep -q 'query line (row' "$t/o/report.html"
result $? '... on the page too'
expect 0 '"rows":.*"sides"' 'sides as JSON' --model "$t/m/roberta" --text "$diff" --by sides --json
tr -d '\n\t' <"$t/out" | grep -q '"rows":"sides","queries":\["message", "added", "removed", "special"\],"keys":\["message",' && ! grep -q distance "$t/out"
result $? '... which have no distance'
expect 0 ' special  changed  ' 'the mass on changed lines without groups' --model "$t/m/roberta" --text "$diff"
expect 0 '"1 [^"]*"' 'ids, which spell lines' --model "$t/m/roberta" --ids 0,92,80,5,2 --by lines --json
expect 0 '"rows":.*"words"' 'a target and its source by words' --model "$t/m/bart" --tokenizer "$t/m/roberta" --text 'int x' --source "$text" --part cross --by words --json
tr -d '\n\t' <"$t/out" | grep -q '"queries":\["</s>", "<s>", "int", "x"\],"keys":\["<s>", "int", "x", "="'
result $? '... the target as the decoder reads it'

# The importance of each head by the loss.
rm -rf "$t/o"
mkdir "$t/bare" && cp "$t/m/roberta/config.json" "$t/m/roberta/model.safetensors" "$t/bare"
expect 3 'has no <mask>' 'a loss without a mask token' --model "$t/bare" --ids 1,2 --sweep heads
expect 2 'expected one of heads' 'an unknown sweep' --model "$t/m/gpt2" --ids 1,2 --sweep layers
expect 2 'no next one to predict' 'one token' --model "$t/m/gpt2" --ids 1 --sweep heads
expect 2 'needs a target' "an encoder-decoder's loss without a target" --model "$t/m/bart" --source-ids 1,2 --sweep heads
expect 2 'expected one of entropy, distance' 'an unknown number' --model "$t/m/gpt2" --ids 1,2 --number size
for m in gpt2 roberta; do
    rm -rf "$t/o"
    [ $m = gpt2 ] && in='--ids 3,4,5,3,4' || in='--text x=1;'
    expect 0 'ablated  gradient' "$m: heads set to zero" --model "$t/m/$m" $in --sweep heads --number zeroed
    [ -s "$t/o/figures/importance.svg" ] && [ -s "$t/o/figures/number-zeroed.png" ] && [ -s "$t/o/figures/through.pdf" ]
    result $? '... with their figures'
done

# One base, several tuned models.
rm -rf "$t/o"
expect 2 'needs operands' 'nothing to compare' --compare "$t/m/roberta" --text "$text"
expect 2 '--model and --compare exclude each other' 'a model and a base' --compare "$t/m/roberta" --text "$text" --model "$t/m/tuned" "$t/m/tuned"
expect 2 'unexpected operand' 'an operand without --compare' --model "$t/m/roberta" --text "$text" "$t/m/tuned"
expect 3 'is gpt2 with 0 layers' 'another kind' --compare "$t/m/roberta" --text "$text" "$t/m/gpt2"
expect 3 "$t/none/config.json: No such file" 'no such model' --compare "$t/m/roberta" --text "$text" "$t/none"
expect 0 '^tuned +0 ' 'a tuned model and the base itself' --compare "$t/m/roberta" --text "$text" "$t/m/tuned" "$t/m/roberta"
grep -Eq '^roberta +1 +0 +- +0 +0 ' "$t/out" && grep -Eq ' 4 .* encoder.layer.0.attention.self.query, tuned$' "$t/out"
result $? '... the base did not move, and the changed map has the rank of one head'
[ -s "$t/o/figures/drift.svg" ] && [ -s "$t/o/figures/similarity.svg" ] && [ -s "$t/o/compare.csv" ] && grep -q '<svg' "$t/o/report.html"
result $? '... figures, table and page'
rm -r "$t/o"
cp -r "$t/m/tuned" "$t/m/a \"b\", c"
expect 0 '^a "b", c +0 ' 'a name with a comma' --compare "$t/m/roberta" --text "$text" "$t/m/a \"b\", c"
grep -q '^"a ""b"", c",0,all,' "$t/o/compare.csv"
result $? '... and its quotation marks are one field of the table'
rm -r "$t/o"
expect 0 '"figures":.*"[^"]*/drift.png"' 'the same as PNG alone, as JSON' --compare "$t/m/roberta" --text "$text" --format png --json "$t/m/tuned"
[ "$(cd "$t/o/figures" && ls | sed 's/.*\.//' | sort -u)" = png ] && grep -q '<svg' "$t/o/report.html"
result $? '... with all its figures on the page'
rm -r "$t/o"
printf 'int x\nint y\n' >"$t/pair"
expect 3 'has no tokenizer' 'floors without a tokenizer' --compare "$t/m/gpt2" --ids 1,2 --texts "$t/pair" "$t/m/gpt2"
expect 2 'and bart reads two' "an encoder-decoder's baselines" --compare "$t/m/bart" --source-ids 1,2 --tokenizer "$t/m/roberta" --texts "$t/pair" "$t/m/bart"
expect 0 '^ +0\.3466  by position$' 'baselines of texts with one token of two' --compare "$t/m/roberta" --text "$text" --texts "$t/pair" "$t/m/tuned"
grep -q 'estimated from 2.0 tokens' "$t/out" && grep -Eq '^roberta .base.: [0-9.]+, not below the baseline of the position$' "$t/out" && [ -s "$t/o/figures/floors.svg" ] && [ "$(tail -n 1 "$t/o/floors.csv" | cut -c1-8)" = 2,0.6931 ]
result $? '... the losses with them, figure and table'
expect 0 '^ +0\.[0-9]+  by position and previous token$' "a decoder's baselines" --compare "$t/m/gpt2" --tokenizer "$t/m/roberta" --text x --texts "$t/pair" "$t/m/gpt2"
peft=$(dirname "$VERNIER")/tests/adapter/test_disk
mkdir "$t/p"
if [ -x "$peft" ] && "$peft" "$t/p" 2>/dev/null; then
    expect 0 'gpt2-prefix: 3 virtual keys; predicted.*supported' 'the theorem of a prefix' --compare "$t/p/gpt2" --ids 0,5,6,7,8 --dtype f64 "$t/p/gpt2-prefix" "$t/p/gpt2-lora"
    grep -Eq '^gpt2-prefix +0 +[0-9.]+e-1[5-9] ' "$t/out" && grep -Eq ' 2 .* h.0.attn.c_attn.q, gpt2-lora$' "$t/out"
    result $? "... nothing moved in layer 0, and LoRA's change has its rank"
    rm -r "$t/o"
    expect 0 '^without the prefix' 'maps without a prefix' --model "$t/p/gpt2" --adapter "$t/p/gpt2-prefix" --ids 0,5,6,7 --no-prefix
    ! grep -q ' prefix ' "$t/out" && [ ! -e "$t/o/figures/prefix.svg" ] && sed -n 2p "$t/o/heads.csv" | tr -d '\r' | grep -Eq '^0,0,[0-9.]+,[0-9.]+,[0-9.]+,,.*,tokens without prefix$'
    result $? '... have none in figures and numbers'
    rm -r "$t/o"
    expect 0 '0\.[0-9]+  mass:0$' 'a prefix without mass' --model "$t/p/gpt2" --adapter "$t/p/gpt2-prefix" --ids 0,5,6,7 --do mass:0 --do prefix=scale:2
    expect 0 '"verdict":.*"inconclusive"' 'a prefix that moves positions, as JSON' --compare "$t/p/t5" --source-ids 4,5,6 --json "$t/p/t5-prefix"
fi

# Interventions.
rm -rf "$t/o"
expect 2 'head:L.H=NUMBER' 'something else to do' --model "$t/m/gpt2" --ids 1,2 --do dance
expect 2 'has no virtual keys' 'a mass without a prefix' --model "$t/m/gpt2" --ids 1,2 --do mass:0.5
expect 3 'its text has 3 tokens, expected 2' 'a patch of another length' --model "$t/m/gpt2" --ids 1,2 --do patch:resid:0=ids:1,2,3
expect 3 "$t/none: No such file" 'a patch from no file' --model "$t/m/roberta" --text x --do "patch:resid:0=@$t/none"
expect 2 '--sweep and --do exclude each other' 'a sweep besides' --model "$t/m/gpt2" --ids 1,2 --do head:0.0=0 --sweep heads
expect 0 '^.* 0\.000 +0\.0000 +0\.0000  head:0.0=1$' 'nothing, a head and a patch' --model "$t/m/gpt2" --ids 3,4,5 --do head:0.0=1 --do head:1.1=0 --do patch:resid:0=ids:3,4,6
grep -q 'all together$' "$t/out" && [ "$(wc -l <"$t/o/effects.csv")" = 5 ] && [ -s "$t/o/figures/effects.svg" ] && grep -q '<svg' "$t/o/report.html"
result $? '... each alone and all together, as figure, table and page'
expect 0 '^shift +0 +1$' 'words too long for one line' --model "$t/m/gpt2" --ids 3,4,5 --do "patch:resid:0=ids:3,                              4,6" --do head:0.0=0
[ "$(awk 'length > 100' "$t/out" | wc -l)" = 0 ] && grep -Eq '^ +3 +[0-9.]+ +[0-9.]+$' "$t/out"
result $? '... give a second table by number, and 100 columns at most'
rm -rf "$t/o"
expect 0 'head:0.0=0$' 'a figure as PDF alone' --model "$t/m/gpt2" --ids 3,4,5 --do head:0.0=0 --format pdf
[ "$(ls "$t/o/figures")" = effects.pdf ] && grep -q '<svg' "$t/o/report.html"
result $? '... is on the page'
rm -rf "$t/o"
expect 2 'steer:SITE:L=S.TEXT minus TEXT' 'steering without a factor' --model "$t/m/gpt2" --ids 1,2 --do 'steer:resid:0=int *x'
expect 2 'a text that contains it must come from @FILE' 'three texts' --model "$t/m/gpt2" --ids 1,2 --do 'steer:resid:0=1*a minus b minus c'
expect 2 'positions are 0 to 1' 'a position that is not there' --model "$t/m/gpt2" --ids 1,2 --do steer:resid:0.2=1*ids:1
expect 2 'PROBS does not have a row for each token' 'the mean of a map' --model "$t/m/gpt2" --ids 1,2 --do steer:probs:0=1*ids:1
expect 0 '^.* 0\.000 +0\.0000 +0\.0000  steer:resid:0=0.ids:5,6,7 minus ids:8$' 'steering by nothing, by a difference' --model "$t/m/gpt2" --ids 3,4 --do 'steer:resid:0=0*ids:5,6,7 minus ids:8' --do 'steer:resid:0=2*ids:5,6,7 minus ids:8'
grep -Eq ' 0\.0000 +0\.[0-9]*[1-9][0-9]*  steer:resid:0=2' "$t/out" && grep -Eq '^"?steer:resid:0=2' "$t/o/effects.csv" && grep -q 'steer:resid:0=2' "$t/o/report.html" && [ -s "$t/o/figures/effects.svg" ]
result $? '... moves the next layer, in table and page'
printf 'int y = 1 ;' >"$t/text"
expect 0 '"do":.*"steer:resid:1=1.int y minus @' 'two texts, one from a file, as JSON' --model "$t/m/roberta" --text 'int x = 1 ;' --do "steer:resid:1=1*int y minus @$t/text" --json
expect 0 '"change":' 'a patch from a file, as JSON' --model "$t/m/roberta" --text 'int x = 1 ;' --do "patch:values:1=@$t/text" --json

# Another adapter's prefix.
prefixes=$(dirname "$VERNIER")/tests/analysis/test_effect
mkdir "$t/s"
if [ -x "$prefixes" ] && "$prefixes" "$t/s" 2>/dev/null; then
    rm -rf "$t/o"
    one="--model $t/s/base --adapter $t/s/one --ids 3,4,5,6"
    expect 3 '3 virtual keys in layer 0 of the decoder, and the model 2$' 'a longer prefix' $one --do "prefix=swap:$t/s/long"
    expect 3 "$t/s/none/adapter_config.json: No such file" 'no such adapter' $one --do "prefix=swap:$t/s/none"
    expect 2 'prefix=swap:DIR' 'a swap with nothing' $one --do prefix=swap:
    expect 2 'no virtual keys to swap' 'a swap without a prefix' --model "$t/s/base" --ids 3,4 --do "prefix=swap:$t/s/one"
    expect 0 '^.* 0\.000 +0\.0000 +0\.0000  prefix=swap:.*/one$' 'itself and another' $one --do "prefix=swap:$t/s/one" --do "prefix=swap:$t/s/two"
    loss=$(awk '/two$/ {print $1}' "$t/out")
    expect 0 "^ *$loss  .nothing done.$" '... is as if that were attached' --model "$t/s/base" --adapter "$t/s/two" --ids 3,4,5,6 --do mass:0
fi

# Many texts.
rm -rf "$t/o"
printf 'int x = 1 ;\n\nreturn x ; return x ;\nint x int x\n' >"$t/texts"
{ cat "$t/texts" && echo "$text $text $text $text"; } >"$t/long"
expect 3 "$t/none: No such file" 'no file of texts' --model "$t/m/roberta" --texts "$t/none"
expect 3 'has no text' 'a file without a text' --model "$t/m/roberta" --texts /dev/null
expect 3 'has no tokenizer' 'texts without a tokenizer' --model "$t/m/gpt2" --texts "$t/texts"
expect 2 '--ids and --texts exclude each other' 'ids besides' --model "$t/m/roberta" --texts "$t/texts" --ids 1
expect 0 '^1 of 4 texts is too long' 'texts of which one is too long' --model "$t/m/roberta" --texts "$t/long" --number identical
grep -Eq '^ +1 +3 +[0-9.]+ \[-?[0-9.]+, [0-9.]+\] +[0-9.]+ (int|return) x' "$t/out" && grep -q '^0,0,entropy,3,' "$t/o/corpus.csv"
result $? '... means with intervals, and where a number is most'
[ -s "$t/o/figures/corpus.svg" ] && grep -q 'over 3 texts' "$t/o/report.html"
result $? '... figure and page'
printf '{"text": "fix <add> x"}\n{"text": "x ;"}\n' >"$t/changes"
expect 0 '^changed: mean' 'the mass on changed lines over texts' --model "$t/m/roberta" --texts "$t/changes" --number changed
grep -q '^0,0,changed,1,' "$t/o/corpus.csv"
result $? '... of those that show a change'
rm -r "$t/o"
expect 0 '^induction: mean' 'over texts as SVG' --model "$t/m/roberta" --texts "$t/texts" --format svg
[ "$(ls "$t/o/figures")" = corpus.svg ]
result $? '... alone'
expect 0 '"zeroed":' 'importance over texts, as JSON' --model "$t/m/roberta" --texts "$t/texts" --sweep heads --layer 0 --json
echo "1..$n"
