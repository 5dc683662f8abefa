# A command that is refused, or interrupted before it has written anything, leaves nothing: no directory on the way to
# its output either.  TAP on stdout.
. tests/cli/tap
built=$(dirname "$VERNIER")/tests
for maker in analysis/test_attend peft/test_disk; do
    if [ ! -x "$built/$maker" ]; then echo "ok 1 - refused # SKIP $built/$maker is not built"; exit 0; fi
done
case $VERNIER in /*) ;; *) VERNIER=$PWD/$VERNIER ;; esac
mkdir "$t/m" "$t/a" && "$built/analysis/test_attend" "$t/m" >"$t/out" 2>"$t/err" && "$built/peft/test_disk" "$t/a" 2>"$t/err" || exit 1
cd "$t" && mkdir here && cd here || exit 1

# left NAME: the empty directory is as it was
left() {
    find . -mindepth 1 >"$t/out" && [ ! -s "$t/out" ]
    result $? "$1"
    find . -mindepth 1 -delete
}
# refused CODE PATTERN WORDS...: the exit code, a pattern in the message, and nothing is left
refused() {
    code=$1 pattern=$2
    shift 2
    "$VERNIER" "$@" >"$t/out" 2>"$t/err" </dev/null
    got=$?
    [ $got = "$code" ] && grep -Eq -- "$pattern" "$t/err"
    result $? "$* (exit $got)"
    left '... leaves nothing'
}
text='int x = 1 ;' gpt2=$t/m/gpt2 roberta=$t/m/roberta
printf 'int x\nint y\n' >"$t/texts"
: >"$t/nothing"
"$VERNIER" data make changes --n 60 --seed 3 --difficulty 0 --quiet --out "$t/c.jsonl"
"$VERNIER" data make ltp --sizes 60,20,20 --quiet --out "$t/ltp.txt" >"$t/out"

# The default of attend is runs/attend/HASH, which no one has made.
refused 3 'has no tokenizer' attend --model "$gpt2" --text "$text"
refused 3 'has no tokenizer' attend --model "$gpt2" --texts "$t/texts"
refused 3 'has no tokenizer' attend --compare "$gpt2" --texts "$t/texts" --ids 1 "$gpt2"
refused 3 'has no tokenizer' attend --model "$gpt2" --ids 1,2 --do "patch:resid:0=int x"
refused 3 'needs a tokenizer' attend --model "$gpt2" --ids 1,2 --by words
refused 3 'No such file' attend --model "$t/none" --text "$text"
refused 2 'is empty' attend --model "$roberta" --text ''
refused 2 'has heads 0 to 3' attend --model "$roberta" --text "$text" --head 9
refused 3 'has no text' attend --model "$roberta" --texts "$t/nothing"
refused 3 'nothing: --do is empty' attend --model "$roberta" --text "$text" --do "patch:resid:0=@$t/nothing"
refused 2 'has heads 0 to 3' attend --model "$roberta" --text "$text" --head 9 --out a/b/c --html p/q/page.html
refused 2 'has layers 0 to 1' attend --model "$roberta" --texts "$t/texts" --layer 9 --html p/page.html

# Its siblings: every command that writes.
refused 3 'No such file' generate "$t/none" --text x
refused 3 'c.jsonl' data mine "$t/c.jsonl" --out x.jsonl
refused 3 'none' data make typ --from "$t/none" --out x.txt
refused 2 'expected three counts' data make typ --sizes 1 --out x.txt
refused 3 'none.txt' probe --task typ --preset smoke --quiet --data "$t/none.txt"
refused 3 'none.txt' probe --task typ --preset smoke --quiet --data "$t/none.txt" --out a/b
refused 2 'has no setting' run toy/e1 --preset smoke --quiet --no-such 1
refused 3 'none' model convert "$t/none" a/b
refused 3 'config.json' model convert "$roberta/config.json" x.safetensors
refused 2 'ends in .safetensors' model convert "$roberta/model.safetensors" a/b
refused 3 'has no method like houlsby' adapter convert "$t/a/houlsby" a/b --to hf --base "$t/a/roberta"
refused 2 'name it with --base MODEL' adapter convert "$t/a/lora" a/b --to hf
refused 3 'No such file|no such' adapter merge "$t/none" "$t/a/lora" a/b
refused 3 'matches no' adapter merge "$t/a/t5" "$t/a/lora" a/b
refused 3 'none' tune --task jit --train "$t/none" --method words --out a/b
refused 3 'none' tune --task jit --train "$t/c.jsonl" --model "$t/none" --out a/b
refused 2 'layers' tune --task jit --train "$t/c.jsonl" --encoder layers=x --out a/b
refused 3 'none' report "$t/none" --out x.html
refused 3 'none' predict "$t/none" "$t/c.jsonl"
refused 2 'threads' bench --threads none

# A directory that was there stays, with what lies beside.
mkdir -p runs/attend
"$VERNIER" attend --model "$gpt2" --text "$text" >"$t/out" 2>"$t/err"
[ "$(find . -mindepth 1 | sort | paste -sd ' ')" = './runs ./runs/attend' ]
result $? 'directories that were there stay'
find . -mindepth 1 -delete

# interrupted NAME WORDS...: a signal while it waits for its input
mkfifo "$t/pipe" && { sleep 600 >"$t/pipe" & } && held=$!
trap 'kill $held 2>/dev/null; rm -rf "$t"' EXIT
interrupted() {
    for signal in INT TERM; do
        "$VERNIER" "$@" >"$t/out" 2>"$t/err" &
        pid=$!
        sleep 0.5
        kill -$signal $pid
        wait $pid
        got=$?
        [ $got = "$([ $signal = INT ] && echo 130 || echo 75)" ]
        result $? "$signal: $* (exit $got)"
        left '... leaves nothing'
    done
}
interrupted attend --model "$roberta" --texts "$t/pipe"
interrupted attend --model "$roberta" --texts "$t/pipe" --out a/b/c --html p/q/page.html
interrupted attend --model "$roberta" --text "$text" --do "patch:resid:0=@$t/pipe"
interrupted tune --task jit --train "$t/pipe" --method words --out a/b
interrupted data make ltp --from "$t/pipe" --out x.txt
echo "1..$n"
