# vernier sweep: what its words mean, and that a sweep that was killed, has failing cells or meets another process ends
# in the same bytes.  TAP on stdout.
. tests/cli/tap
program=$PWD/$VERNIER
case $VERNIER in /*) program=$VERNIER ;; esac
cd "$t" || exit 1
ask() { "$program" "$@"; }
"$program" data make changes --n 240 --seed 3 --difficulty 0 --quiet --out c.jsonl >out 2>err
words='tune --task jit --method date --train c.jsonl' # the cheapest that there is
theory='theory one-token --preset smoke --max-n 2 --max-v 3 seeds=1'

# rejected NAME PATTERN WORDS...: exit 2, before anything is written
rejected() {
    pattern=$1
    shift
    expect 2 "$pattern" "rejected: $*" sweep "$@" --out none
    [ ! -e none ] || result 1 '... and nothing is written'
}
# shellcheck disable=SC2086
{
    rejected 'did you mean epochs' $words epocs=1,2
    rejected 'same value' $words lr=1e-4,0.0001
    rejected 'the range is empty' $words seed=5..1
    rejected '2000 = 2000 cells; expected at most 1000' $words seed=1..2000
    rejected '3 x 4 = 12 cells; expected at most 10' $words seed=1..3 lr=1,2,3,4 --max-cells 10
    rejected 'a value is empty' $words lr=
    rejected 'a value is empty' $words lr=1,,2
    rejected 'has a fixed value' $words --lr 1e-3 lr=1,2
    rejected 'are the same setting' $words lr=1,2 learning-rate=3
    rejected 'is of the whole sweep' $words out=a,b
    rejected 'no setting of tune varies' $words
    rejected 'no command "toone"' toone seed=1,2
    rejected 'did you mean --seed' theory one-token sed=1..2
    rejected 'expected a second' $words "lr='1,2"
    rejected 'begins above 0' $words lr=0..1/log3
    rejected 'needs a step' $words lr=0..0.5
    rejected 'unknown option --bogus' $words seed=1,2 --bogus 3
    rejected 'expected an integer; 2 more of 4' theory one-token seed=1,b,2.5,c
    rejected 'would begin a requeued task anew' $words seed=1,2 --overwrite --slurm
    expect 3 'nope: No such file' 'a file that is not there is told before the first cell' \
        sweep tune --task jit --method words --train nope seed=1..2 --out none
    expect 0 'lr=0.0001,seed=2 --out|--learning-rate=0.0001 --seed=2' 'a dry run prints the commands' \
        sweep $words lr=1e-4..1e-2/log3 seed=1..2 --dry-run --out none
    [ "$(grep -c '^vernier tune' out)" = 6 ] && [ ! -e none ]
    result $? '... all of them, and writes nothing'
    expect 0 "kind=a,b,rank=4.*--options=alpha=1,kind=a,b,rank=4|'?--options=" 'quoted commas, lists of items' \
        sweep tune --task cmg --train c.jsonl --options alpha=16 "rank=4,8" encoder.dim=32 --dry-run --out none
    grep -q -- '--options=alpha=16,rank=8 --encoder=dim=32 --out=none/rank=8,encoder.dim=32$' out
    result $? '... each where it belongs'
    expect 0 '^vernier predict --json . c.jsonl' 'an operand varies by its number' sweep predict 1=.,c.jsonl c.jsonl --dry-run
}

# a sweep, undisturbed; without times, which are in manifest.json of an experiment
# shellcheck disable=SC2086
expect 0 'seeds' 'a sweep of seeds' sweep $words lr=1e-2,1e-1 seed=1..2 --out whole --jobs 2
[ -e 'whole/lr=1e-2,seed=1/manifest.json' ] && [ "$(grep -c ',done,' whole/summary/cells.csv)" = 4 ] &&
    grep -q '^| lr | seeds | validation: f1 ' whole/summary/table.md && [ -s whole/summary/index.html ] &&
    [ -s whole/summary/figures/1-lr.svg ]
result $? '... has a directory for each cell, a table and a figure'
# cells DIR: the sums of all files of cells
cells() {
    (cd "$1" && find . -path ./logs -prune -o -path ./summary -prune -o -name 'sweep.*' -prune -o -type f -print |
        LC_ALL=C sort | xargs -d '\n' cksum)
}
cells whole >whole.sums
before=$(cat whole/logs/*.jsonl | wc -l)
# shellcheck disable=SC2086
expect 0 'seeds' 'the same again' sweep $words lr=1e-2,1e-1 seed=1..2 --out whole
cells whole | cmp -s whole.sums - && [ "$(cat whole/logs/*.jsonl | wc -l)" = "$before" ]
result $? '... starts no cell and changes nothing'
# shellcheck disable=SC2086
expect 2 'holds another sweep' 'other words in the same directory' sweep $words --batch 8 lr=1,2 --out whole
# shellcheck disable=SC2086
expect 0 'seeds' 'another value' sweep $words lr=1e-2,1e-1 seed=3 --out whole --quiet
[ "$(grep -c ',done,' whole/summary/cells.csv)" = 6 ] && [ "$(grep -c 'seed=3' whole/sweep.json)" = 2 ]
result $? '... extends the sweep'
expect 0 'Best by validation: auc' 'collect by another metric' sweep collect whole --by auc
expect 2 'no metric' 'collect by no metric' sweep collect whole --by bleu
mkdir full && : >full/file
# shellcheck disable=SC2086
expect 2 'has files and no sweep.json' 'a directory of other files' sweep $words seed=1 --out full

# killed in the middle, and continued
for signal in KILL TERM INT; do
    rm -rf half
    # shellcheck disable=SC2086
    "$program" sweep $words lr=1e-2,1e-1 seed=1..3 --out half --jobs 1 >out 2>err &
    pid=$! i=0
    while [ $i -lt 300 ] && [ ! -e 'half/lr=1e-2,seed=2' ]; do sleep 0.02 && i=$((i + 1)); done
    kill -$signal $pid
    wait $pid
    code=$?
    case $signal:$code in KILL:137 | TERM:75 | INT:130) ;; *) false ;; esac
    result $? "SIG$signal ends a sweep (exit $code)"
    # shellcheck disable=SC2086
    expect 0 'seeds' '... which continues' sweep $words lr=1e-2,1e-1 seed=1..3 --out half --quiet
    cells whole >whole.sums && cells half | cmp -s whole.sums -
    result $? '... to the same bytes'
done

# a failing cell does not stop the others
mkdir -p odd && echo '{"odd": 1}' >odd/c.jsonl
expect 1 '1 of 2 cells failed' 'a cell that fails is reported' \
    sweep tune --task jit --method words train=c.jsonl,odd/c.jsonl --out some
grep -q 'failed (exit 3): odd/c.jsonl' err && [ "$(grep -c ',done,' some/summary/cells.csv)" = 1 ] &&
    grep -q ',failed,' some/summary/cells.csv
result $? '... with its reason, and the other is done'

# commands that print; experiments; operands
expect 0 'Best by .*auc' 'a command that prints' \
    sweep predict "1='whole/lr=1e-2,seed=1','whole/lr=1e-1,seed=1'" c.jsonl --out printed --by auc
[ -s 'printed/1=lr=1e-2_seed=1/output.json' ]
result $? '... leaves its output as a file'
# shellcheck disable=SC2086
expect 0 'supported' 'seeds of a theorem' sweep $theory seed=1..3 --out seeds
grep -q '3 of 3' out
result $? '... each of which is supported'
small=layers=1,dim=32,heads=2,hidden=64,vocab=400,length=64,steps=2
# shellcheck disable=SC2086
expect 0 'seeds' 'tunings of a network' sweep tune --task jit --train c.jsonl --encoder $small --epochs 1 rank=2,4 seed=1 --out lora --jobs 2
expect 0 '^lora/rank=4' 'probes of two models' sweep probe --task typ --preset smoke --seeds 1 --out probed \
    "model='lora/rank=2,seed=1/encoder','lora/rank=4,seed=1/encoder'"
expect 0 '' 'the study' sweep run probes/study --preset smoke --steps 2 --seeds 1 methods=lora,prefix --out study

# Slurm: the script, a task, and two tasks on one cell
# shellcheck disable=SC2086
expect 0 '#SBATCH --array=0-3' 'the script of a job array' \
    sweep $words lr=1e-2,1e-1 seed=1..2 --out "$t/array of" --print-slurm --slurm-option time=1:00:00 --slurm-option partition=main
cp out script
[ ! -e "$t/array of" ] && grep -q '^#SBATCH --time=1:00:00$' script && grep -q '^#SBATCH --requeue$' script &&
    grep -q 'scontrol requeue' script && sh -n script
result $? '... is a shell script, and nothing is written'
if command -v shellcheck >/dev/null; then
    shellcheck -s sh script >out 2>err
    result $? '... that shellcheck accepts'
fi
rm -rf tasks && mkdir tasks tasks/bin
printf '#!/bin/sh\necho 17\n' >tasks/bin/sbatch && chmod +x tasks/bin/sbatch
# shellcheck disable=SC2086
PATH="$t/tasks/bin:$PATH" expect 0 '^17$' 'submitting it' sweep $words lr=1e-2,1e-1 seed=1..3 --out tasks/s --slurm
for i in 0 1 2 3 4 5; do SLURM_ARRAY_TASK_ID=$i "$program" sweep cell tasks/s --quiet >>out 2>>err || echo "task $i: $?" >>err; done
cells tasks/s | cmp -s whole.sums -
result $? 'tasks make the bytes of the sweep'
SLURM_ARRAY_TASK_ID=9 expect 2 'SLURM_ARRAY_TASK_ID=9: expected 0 to 5' 'a task without a cell' sweep cell tasks/s
expect 2 'which cell is meant' 'no task at all' sweep cell tasks/s
# shellcheck disable=SC2086
expect 0 'all 6 cells are done' 'nothing is submitted twice' sweep $words lr=1e-2,1e-1 seed=1..3 --out tasks/s --print-slurm
mkdir both both/logs && cp half/sweep.json both/
for i in 1 2 3; do
    SLURM_ARRAY_TASK_ID=0 "$program" sweep cell both >out$i 2>err$i &
    eval "pid$i=$!"
done
wait "$pid1" && a=0 || a=$?
wait "$pid2" && b=0 || b=$?
wait "$pid3" && c=0 || c=$?
[ "$a$b$c" != 111 ] && for x in $a $b $c; do [ "$x" = 0 ] || [ "$x" = 1 ]; done
result $? "tasks at once on one cell (exit $a, $b and $c)"
SLURM_ARRAY_TASK_ID=0 "$program" sweep cell both >out 2>err
(cd both && cksum lr=*/* 2>/dev/null) >both.sums
(cd whole && cksum lr=1e-2,seed=1/*) | cmp -s both.sums -
result $? '... leave the bytes of one'
echo "1..$n"
