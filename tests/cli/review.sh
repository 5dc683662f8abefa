# vernier tune --task pretrain, and messages in the form of CodeReviewer and CCT5.  TAP.
. tests/cli/tap
small=layers=1,dim=16,heads=2,hidden=32,vocab=600
"$VERNIER" data make changes --n 60 --seed 3 --difficulty 0 --quiet --out "$t/c.jsonl" >"$t/out" 2>"$t/err"
tune="tune --train $t/c.jsonl --epochs 1 --evaluations 1 --max-length 64 --target 16"
# shellcheck disable=SC2086
{
    expect 0 'diff tags +[0-9]+ +[0-9.]+ +[0-9.]+' 'the objectives of CodeReviewer' \
        $tune --task pretrain --encoder $small --out "$t/base"
    expect 3 'is a pretraining, which predicts nothing' '... predict nothing by themselves' predict "$t/base" "$t/c.jsonl"
    expect 0 '"objective":[[:space:]]*"PL2NL"' 'those of CCT5, on a pretrained model, as JSON' \
        $tune --task pretrain --objectives cct5 --model "$t/base/model" --tokenizer "$t/base/writer" --json --out "$t/more"
    expect 0 'written to' 'messages begin with the result' \
        $tune --task cmg --form review --model "$t/base/model" --tokenizer "$t/base/writer" --out "$t/messages"
    expect 0 'B-Norm' '... and are written' predict "$t/messages" "$t/c.jsonl"
    expect 0 'AUC' '... so does a defect predictor' \
        tune --task jit --train "$t/c.jsonl" --epochs 1 --evaluations 1 --max-length 32 --head single \
        --model "$t/base/model" --tokenizer "$t/base/writer" --out "$t/defects"
    expect 0 'written to' 'a writer without the symbols' $tune --task cmg --encoder $small --out "$t/plain"
    expect 3 'lacks .<keep>' '... has no room for them' \
        $tune --task pretrain --model "$t/plain/writer" --out "$t/x"
    expect 2 'needs --method full' 'a small model that would stay random' \
        $tune --task pretrain --method lora --out "$t/x"
    expect 2 'objectives is for --task pretrain' 'an option of this task alone' \
        tune --task jit --train "$t/c.jsonl" --objectives cct5 --out "$t/x"
}
echo "1..$n"
