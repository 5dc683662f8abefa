# Weights that are not finite: a sentence names the tensor, with exit code 3, in the place of answers made of them.
# TAP on stdout.
. tests/cli/tap
maker=$(dirname "$VERNIER")/tests/analysis/test_attend
if [ ! -x "$maker" ]; then echo "ok 1 - weights that are no numbers # SKIP $maker is not built"; exit 0; fi
mkdir "$t/m"
"$maker" "$t/m" >/dev/null || exit 1
cp -r "$t/m/roberta" "$t/nan"
not_numbers "$t/nan/model.safetensors"
text='int x = 1 ;'
refused() { # PATTERN NAME WORDS...
    what=$1 name=$2
    shift 2
    expect 3 "$what" "$name" "$@"
    grep -Eq "the model's tensor '[a-z_.0-9]+' is -?nan at element 0" "$t/err"
    result $? '... with the tensor'
    [ ! -s "$t/out" ] && [ ! -e "$t/o" ]
    result $? '... and nothing else'
}
here="$t/nan: the attention of layer 0, head 0 is -?nan"
refused 'logits.*nan' fill fill "$t/nan" --text 'int <mask>' --quiet
refused "$here" attend attend --model "$t/nan" --text "$text" --out "$t/o"
refused "$here" '... as the base' attend --model "$t/m/roberta" --base "$t/nan" --text "$text" --out "$t/o"
refused "$here" '... with --do' attend --model "$t/nan" --text "$text" --do head:0.0=0 --out "$t/o"
echo "$text" >"$t/texts"
refused "$here" '... with --texts' attend --model "$t/nan" --texts "$t/texts" --out "$t/o" --quiet
refused 'tuned model.s attention.*nan' '... compared' attend --compare "$t/m/roberta" --text "$text" --out "$t/o" "$t/nan"

"$VERNIER" data make changes --n 60 --seed 3 --quiet --out "$t/c.jsonl" >"$t/out" 2>"$t/err"
for task in jit cmg; do
    steps=; [ $task = cmg ] || steps=,steps=3
    "$VERNIER" tune --task $task --train "$t/c.jsonl" --encoder layers=1,dim=16,heads=2,hidden=16,vocab=300$steps --length 32 \
        --epochs 1 --evaluations 1 --quiet --out "$t/$task" >"$t/out" 2>"$t/err"
    result $? "a model of $task"
done
not_numbers "$t/jit/head.safetensors"
for f in "$t"/cmg/*/model.safetensors; do not_numbers "$f"; done
refused 'logits.*nan' 'predict defects' predict "$t/jit" "$t/c.jsonl" --quiet
refused 'logit.*nan' 'predict messages' predict "$t/cmg" "$t/c.jsonl" --top 2 --quiet
refused 'logit.*nan' '... by beams' predict "$t/cmg" "$t/c.jsonl" --top 2 --beams 2 --quiet
echo "1..$n"
