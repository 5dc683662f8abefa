# vernier probe: data, the report on them, and errors about bad ones.  TAP on stdout.
. tests/cli/tap
ask() { "$VERNIER" probe --preset smoke --quiet --overwrite --out "$t/run" "$@"; }
# expect CODE PATTERN NAME WORDS...: exit code, a pattern in the output joined to one line; an error is one line
expect() {
    code=$1 pattern=$2 name=$3
    shift 3
    ask "$@" >"$t/out" 2>"$t/err"
    got=$?
    [ $got = "$code" ] && cat "$t/out" "$t/err" | tr -s '\n ' ' ' | grep -Eq -- "$pattern" &&
        { [ "$code" = 0 ] || [ "$(wc -l <"$t/err")" = 1 ]; }
    result $? "$name (exit $got)"
}
rows() { # FILE SPLIT LABEL COUNT
    i=0
    while [ $i -lt "$4" ]; do
        i=$((i + 1))
        printf '%s\t%s\tint %s = %s ;\n' "$2" "$3" "$3" $i >>"$1"
    done
}

expect 2 'task NAME is missing' 'no task'
expect 2 'no experiment .probes/xyz' 'an unknown task' --task xyz
expect 2 'not among logistic' 'an unknown classifier' --task typ --classifier forest
expect 2 'need --model' 'an adapter without a model' --task typ --adapter "$t"
expect 3 'none.txt' 'data that are not there' --task typ --data "$t/none.txt"
expect 3 'none/config.json' 'a model that is not there' --task typ --model "$t/none"
expect 2 'rows of typ have no span' 'a mask where there is none' --task typ --pooling mask
expect 2 'row of ltp is one text' 'pair features of one text' --task ltp --features pair
printf 'tr\tORIG\tint a ;\ntr FAULT\n' >"$t/a.txt"
expect 3 'a.txt:2: found no tab' 'a malformed line' --task typ --data "$t/a.txt"
rows "$t/b.txt" tr ORIG 8
rows "$t/b.txt" tr FAULT 8
cp "$t/b.txt" "$t/c.txt"
expect 3 'b.txt:16: the file ends without a row of the valid split' 'no validation' --task typ --data "$t/b.txt"
rows "$t/b.txt" va ORIG 2
rows "$t/b.txt" va FAULT 2
expect 3 'b.txt:20: the file ends without a row of the test split' 'no test' --task typ --data "$t/b.txt"
rows "$t/b.txt" te FAULT 3
expect 3 'b.txt:21: the test split begins here and all its 3 rows are labelled FAULT' 'a test of one label' \
    --task typ --data "$t/b.txt"
rows "$t/c.txt" va FAULT 2
expect 3 'c.txt:17: the valid split begins here and all its 2' 'a validation of one label' --task typ --data "$t/c.txt" &&
    rows "$t/c.txt" va ORIG 1 && rows "$t/c.txt" te OTHER 1
expect 3 'c.txt:20: the label .OTHER. does not occur' 'a label that training lacks' --task typ --data "$t/c.txt"
rows "$t/d.txt" tr ORIG 4
expect 3 'd.txt: the training split has 1 label' 'training of one label' --task typ --data "$t/d.txt"
expect 3 'not a regular file' 'a device' --task typ --data /dev/zero
: >"$t/e.txt"
expect 3 'e.txt: the training split has 0 labels' 'an empty file' --task typ --data "$t/e.txt"
rows "$t/b.txt" te ORIG 3
expect 3 'no row is labelled False' 'data of another task' --task ccm --data "$t/b.txt"
[ ! -e "$t/run" ]
result $? 'none of these left anything'
expect 0 'not above the misspelling rule' 'the least that can be probed' --task typ --data "$t/b.txt"
cp -r "$t/run" "$t/small" && mkdir "$t/wide" && cp "$t"/small/encoder-seed1/* "$t/wide"
sed -i 's/"vocab_size":[ \t]*[0-9]*/"vocab_size": 7/' "$t/wide/config.json"
expect 3 'b.txt:1: the tokenizer gives id [0-9]+, the model.s vocabulary has 7' 'a tokenizer of another model' \
    --task typ --data "$t/b.txt" --model "$t/wide"

for set in typ ccm ltp; do
    "$VERNIER" data make $set --recipe study --sizes 60,20,20 --out "$t/$set.txt" --quiet >/dev/null 2>"$t/err"
    rm -r "$t/run"
    expect 0 'layer 1, karmakar-compat .*p against the bag of words' "$set, both protocols" \
        --task $set --data "$t/$set.txt" --mode both
    [ -s "$t/run/negative-pvi-seed1.csv" ] && [ -s "$t/run/data.sheet.json" ] && [ -s "$t/run/figures/layers.svg" ] &&
        [ -s "$t/run/figures/floors.svg" ]
    result $? '... leaves its lists and figures'
    sed '1d; s/,.*//' "$t/run/negative-pvi-seed1.csv" >"$t/lines"
    ! grep -vqE '^(8[1-9]|9[0-9]|100)$' "$t/lines"
    result $? '... whose lines are those of test rows'
done
expect 0 'pretrained, state at the <mask>: .*layer 1, first token' 'ltp is read at its mask' --task ltp \
    --data "$t/ltp.txt"
expect 0 'pretrained, first over tokens, single features' '... or at the first token' --task ltp --data "$t/ltp.txt" \
    --pooling first
expect 0 'pretrained, mean over tokens, pair features.*layer 1, first token' 'ccm is read as a pair' \
    --task ccm --data "$t/ccm.txt"
expect 0 'hide the tag of a file.s name' 'leakage is reported' --task ltp --data "$t/ltp.txt"
cp "$t/run/results.json" "$t/first.json"
expect 0 'verdict' 'the same again' --task ltp --data "$t/ltp.txt"
cmp -s "$t/first.json" "$t/run/results.json"
result $? '... gives the same numbers'
expect 0 '' 'features for NumPy' --task typ --export yes
for layer in 00 01; do
    f=$(find "$t/run" -path '*features/correct-seed*' -name "encoder-$layer.npy")
    head -c 6 "$f" | tail -c 5 | grep -q NUMPY && head -c 128 "$f" | grep -aq "'shape': (.*, 16)" || false
    result $? "... layer $layer as an array of rows"
done
expect 0 '' 'none unless asked for' --task typ
[ -z "$(find "$t/run" -name '*.npy')" ]
result $? '... so no array is there'

# A table of the user's own.
{
    echo 'label,text,other,span'
    i=0
    while [ $i -lt 40 ]; do
        i=$((i + 1))
        printf 'yes,alpha w%d beta,alpha g%d w%d,beta\nno,delta w%d beta,omega g%d,6:8\n' $i $i $i $i $i
    done
} >"$t/own.csv"
own="--data $t/own.csv --label-column label --text-column text"
expect 0 'mean over tokens, single features: .*bag of words \(%\) 100' 'a table of texts' $own
expect 0 'pair features .*word overlap \(%\) 100' 'a table of pairs' $own --pair-column other
expect 0 'mean over the span: ' 'a table of spans' $own --span-column span
expect 2 'expected --data FILE, --text-column and --label-column' 'a table without a label' --data "$t/own.csv" \
    --text-column text
expect 2 'pair-column or --span-column, not both' 'a pair with a span' $own --pair-column other --span-column span
expect 2 'are for --task own' 'columns of a published form' --task typ --text-column text
expect 3 "no column 'nope'; there are label, text, other, span" 'a column that is not there' $own --pair-column nope
expect 3 "own.csv:[0-9]+: the span .* is not in the text" 'a span that is not there' $own --span-column other
head -6 "$t/own.csv" >"$t/few.csv"
expect 3 'has too few rows for three splits' 'a table of a few rows' --data "$t/few.csv" --label-column label \
    --text-column text

echo "1..$n"
