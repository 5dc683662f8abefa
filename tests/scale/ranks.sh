# Ranks of MPI on one machine, and on four hosts that are network namespaces with TCP between them: the same bytes for
# any number of ranks, a rank that is lost, stopped, or fails, and work that goes on with another number.  TAP.
[ "$VERNIER_SCALE" ] || { echo '1..0 # SKIP make check-scale runs this'; exit 0; }
command -v mpirun >/dev/null || { echo '1..0 # SKIP there is no mpirun (openmpi-bin, or mpich)'; exit 0; }
[ -x "$VERNIER_MPI" ] || { echo '1..0 # SKIP the program with MPI is not built (make MPI=1)'; exit 0; }
. tests/cli/tap
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMP_WAIT_POLICY=passive
more=--oversubscribe
mpirun --version | grep -q 'Open MPI' || more=
plain=$VERNIER built=$(dirname "$VERNIER")/tests

# on RANKS WORDS...: the program on so many ranks
on() {
    ranks=$1
    shift
    mpirun -n "$ranks" $more "$VERNIER_MPI" "$@" >"$t/out" 2>"$t/err"
}
# same DIR DIR NAME: two results; same_but_program where another build made one of them, same_results where other
# options did
same() { diff -r "$1" "$2" >"$t/out" 2>&1; result $? "$3"; }
same_results() { diff -r -x manifest.json -x options.json "$1" "$2" >"$t/out" 2>&1; result $? "$3"; }
same_but_program() { diff -r -x manifest.json "$1" "$2" >"$t/out" 2>&1; result $? "$3"; }
# waits until a training has saved its state in DIR
saved() {
    i=0
    while [ $i -lt 1200 ] && [ ! -e "$1/unfinished/train.json" ]; do
        sleep 0.05
        i=$((i + 1))
    done
    sleep 0.2
}
# The last of the ranks that a launcher has started, where they are its children.
rank_of() { pgrep -P "$1" -f "$VERNIER_MPI" | tail -n 1; }

small=layers=1,dim=32,heads=2,hidden=64,vocab=400
"$plain" data make changes --n 120 --seed 3 --difficulty 0 --quiet --out "$t/c.jsonl" >"$t/out" 2>"$t/err"
"$plain" data make changes --n 50 --seed 4 --difficulty 0 --quiet --out "$t/new.jsonl" >"$t/out" 2>"$t/err"
for i in 1 2 3 4 5 6 7 8 9; do
    printf '{"text": "the cat sat on the mat and the dog sat on log %d"}\n' $i
    printf '{"prompt": "the cat", "completion": " sat %d"}\n' $i
done >"$t/texts.jsonl"
jit="tune --task jit --train $t/c.jsonl --encoder $small,length=64,steps=12 --epochs 2 --evaluations 2"
cmg="tune --task cmg --train $t/c.jsonl --encoder $small --max-length 48 --epochs 1 --evaluations 1"
pretrain="tune --task pretrain --train $t/c.jsonl --encoder $small,vocab=600 --epochs 1 --evaluations 1 --max-length 64 --target 16"
lm=
if [ -x "$built/tasks/test_lm" ] && mkdir "$t/m" && "$built/tasks/test_lm" "$t/m" >/dev/null; then
    lm="tune --task lm --train $t/texts.jsonl --model $t/m/gpt2 --max-length 48 --batch 8"
fi

# ---- the same bytes
# shellcheck disable=SC2086
for task in jit cmg pretrain lm; do
    eval "words=\$$task"
    numbers='1 2 3'
    [ "$words" ] || { result 0 "tune --task lm # SKIP $built/tasks/test_lm is not built"; continue; }
    [ $task = jit ] && numbers='1 2 3 4 8'
    "$plain" $words --shards 8 --quiet --out "$t/$task" >"$t/out" 2>"$t/err"
    result $? "tune --task $task with --shards 8, without MPI"
    for r in $numbers; do
        on $r $words --quiet --out "$t/$task-$r"
        result $? "tune --task $task on $r ranks"
        if [ $r = 1 ]; then
            same_but_program "$t/$task" "$t/$task-1" '... the same bytes as without MPI'
        else
            same "$t/$task-1" "$t/$task-$r" '... the same bytes'
        fi
    done
done
# shellcheck disable=SC2086
{
    on 2 $jit --quiet --threads 2 --out "$t/jit-threads"
    same "$t/jit-1" "$t/jit-threads" '... and on 2 ranks of 2 threads'
    top="tune --task jit --train $t/c.jsonl --encoder $small,layers=2,length=64,steps=12 --epochs 2 --evaluations 2 --layers top:1 --quiet"
    "$plain" $top --shards 8 --no-trunk-cache --out "$t/top" >"$t/out" 2>"$t/err"
    result $? 'the last layer alone, without MPI and without a trunk cache'
    on 3 $top --out "$t/top-memory"
    same_results "$t/top" "$t/top-memory" '... has the same bytes on 3 ranks with a cache'
    on 2 $top --trunk-cache file --trunk-dir "$t/trunk" --out "$t/top-file"
    same_results "$t/top" "$t/top-file" '... and on 2 with one in a file'
}
for how in --json --csv; do
    "$plain" predict "$t/jit" "$t/new.jsonl" $how >"$t/alone" 2>"$t/err"
    for r in 1 2 3 4; do
        on $r predict "$t/jit" "$t/new.jsonl" $how && cmp -s "$t/out" "$t/alone"
        result $? "predict $how on $r ranks prints the same"
    done
done
"$plain" predict "$t/cmg" "$t/new.jsonl" --json --max-new-tokens 8 >"$t/alone" 2>"$t/err"
on 3 predict "$t/cmg" "$t/new.jsonl" --json --max-new-tokens 8 && cmp -s "$t/out" "$t/alone"
result $? '... and so do messages'
if [ "$lm" ]; then
    "$plain" predict "$t/lm" "$t/texts.jsonl" --json >"$t/alone" 2>"$t/err"
    on 3 predict "$t/lm" "$t/texts.jsonl" --json && cmp -s "$t/out" "$t/alone"
    result $? '... and scores of texts'
fi
sed 's/.*"message": "\([^"]*\)".*/\1/' "$t/new.jsonl" >"$t/lines"
"$plain" embed "$t/jit/encoder" "$t/lines" --npy "$t/alone.npy" --quiet >"$t/out" 2>"$t/err"
for r in 2 4; do
    on $r embed "$t/jit/encoder" "$t/lines" --npy "$t/of$r.npy" --quiet && cmp -s "$t/of$r.npy" "$t/alone.npy"
    result $? "embed on $r ranks writes the same vectors"
done

# ---- refusals
# refused CODE PATTERN NAME: of the last start, with the sentence on one line alone
refused() {
    got=$?
    [ $got = "$1" ] && [ "$(grep -Ec "^vernier: .*$2" "$t/err")" = 1 ] && [ "$(grep -c '^vernier:' "$t/err")" = 1 ]
    result $? "$3 (exit $got)"
}
mpirun -n 2 $more "$plain" list >"$t/out" 2>"$t/err"
refused 2 'built without MPI' 'several processes of a program without MPI are refused'
on 3 list
refused 2 'list runs as one process' 'a command that is not shared out'
# shellcheck disable=SC2086
{
    on 3 $jit --shards 2 --out "$t/x"
    refused 2 'shards 2: expected at least' 'fewer shards than ranks'
    on 2 tune --task jit --train "$t/c.jsonl" --method words --out "$t/x"
    refused 2 'words runs as one process' 'a baseline'
    mpirun $more -n 1 "$VERNIER_MPI" $jit --out "$t/x" : -n 1 "$VERNIER_MPI" predict "$t/none" "$t/c.jsonl" >"$t/out" 2>"$t/err"
    refused 3 'rank 1 of 2 on .*none' 'a rank that fails alone ends all, with its sentence'
}
[ ! -e "$t/x" ]
result $? '... before anything is written'

# ---- a rank that is lost, or stopped
long="tune --task jit --train $t/c.jsonl --encoder $small,length=64,steps=12 --epochs 60 --batch 16 --evaluations 1 --patience 0 --quiet"
# shellcheck disable=SC2086
{
    "$plain" $long --shards 8 --out "$t/long" >"$t/out" 2>"$t/err"
    for how in KILL TERM; do
        rm -rf "$t/broken"
        mpirun -n 3 $more "$VERNIER_MPI" $long --out "$t/broken" >"$t/out" 2>"$t/err" &
        pid=$!
        saved "$t/broken"
        kill -$how "$(rank_of $pid)"
        wait $pid
        got=$?
        [ $got != 0 ] && [ -e "$t/broken/unfinished/train.json" ]
        result $? "a rank gets SIG$how: all end (exit $got)"
        [ $how = KILL ] || { [ "$(grep -c '^vernier: interrupted' "$t/err")" = 1 ]; result $? '... in step, with one sentence'; }
        on 4 $long --out "$t/broken"
        result $? '... and 4 ranks go on'
        same_but_program "$t/long" "$t/broken" '... to the same bytes'
    done
    timeout -s KILL 2 "$plain" $long --shards 8 --out "$t/alone-first" >"$t/out" 2>"$t/err"
    on 2 $long --out "$t/alone-first"
    same_but_program "$t/long" "$t/alone-first" 'what one process without MPI has begun, 2 ranks end'
}

# ---- four hosts
. tests/scale/hosts
if hosts_make; then
    # shellcheck disable=SC2086
    {
        hosts_run 4 $long --out "$t/hosts" >"$t/out" 2>"$t/err"
        result $? '4 hosts over TCP'
        same_but_program "$t/long" "$t/hosts" '... have the same bytes'
        VERNIER_RANK_TIMEOUT=5 hosts_run 4 $long --out "$t/cut" >"$t/out" 2>"$t/err" &
        pid=$!
        saved "$t/cut"
        hosts_cut 3
        wait $pid
        got=$?
        [ $got != 0 ] && [ "$(grep -c '^vernier: rank 0 of 4 lost another rank' "$t/err")" = 1 ]
        result $? "a host that is cut off ends the job with a sentence (exit $got)"
        i=0
        while [ $i -lt 60 ] && pgrep -f "$t/cut" >/dev/null; do
            sleep 0.5
            i=$((i + 1))
        done
        ! pgrep -af "$t/cut" >"$t/out"
        result $? '... on all hosts'
        hosts_mend 3
        hosts_run 3 $long --out "$t/cut" >"$t/out" 2>"$t/err"
        result $? '... and 3 of them go on'
        same_but_program "$t/long" "$t/cut" '... to the same bytes'
    }
    hosts_remove
else
    result 0 "four hosts as network namespaces # SKIP $hosts_why"
fi
echo "1..$n"
