# vernier sweep under Slurm: a controller and a node of our own on this machine, an array, a task that is taken from its
# node and requeued, and a job of srun.  TAP on stdout.
#
# munged, slurmctld and slurmd run as this user with a configuration, ports, sockets and state in a temporary directory,
# and are ended by their process ids.  Debian's packages are slurm-wlm and munge.
[ "$VERNIER_SCALE" ] || { echo '1..0 # SKIP make check-scale runs this'; exit 0; }
skip() { echo "1..0 # SKIP skipped: $1"; exit 0; }
have() { command -v "$1" >/dev/null || [ -x "/usr/sbin/$1" ]; }
PATH=$PATH:/usr/sbin:/sbin
if ! { have slurmctld && have slurmd && have munged; }; then
    [ "$(id -u)" = 0 ] && have apt-get || skip 'Slurm is not installed, and only root can install it'
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends slurm-wlm munge; } >/dev/null 2>&1 ||
        skip 'the packages slurm-wlm and munge cannot be installed here'
fi
have slurmctld && have slurmd && have munged || skip 'slurmctld, slurmd and munged are not here'
[ "$(id -u)" = 0 ] || skip 'slurmd starts jobs as root alone'
. tests/cli/tap
program=$PWD/$VERNIER
case $VERNIER in /*) program=$VERNIER ;; esac
chmod 755 "$t"

# ---- daemons

daemons=
stop() {
    for pid in $daemons; do kill "$pid" 2>/dev/null; done
    for pid in $daemons; do wait "$pid" 2>/dev/null; done
    rm -rf "$t"
}
trap stop EXIT
me=$(id -un) host=$(hostname -s)
# a port that nobody listens to, from N on
free_port() {
    port=$1
    while grep -qi ":$(printf %04X "$port") [0-9A-F:]* 0A" /proc/net/tcp; do port=$((port + 1)); done
    echo "$port"
}
first=$((20000 + $$ % 20000))
control=$(free_port $first) && node=$(free_port $((control + 1)))
mkdir -p "$t/state" "$t/spool" "$t/log" "$t/run" "$t/munge" && chmod 700 "$t/munge"
dd if=/dev/urandom of="$t/munge/key" bs=1 count=1024 2>/dev/null && chmod 400 "$t/munge/key"
cat >"$t/slurm.conf" <<END
ClusterName=vernier
SlurmctldHost=$host(127.0.0.1)
SlurmUser=$me
SlurmctldPort=$control
SlurmdPort=$node
AuthType=auth/munge
AuthInfo=socket=$t/munge/socket
CredType=cred/munge
StateSaveLocation=$t/state
SlurmdSpoolDir=$t/spool
SlurmctldPidFile=$t/run/slurmctld.pid
SlurmdPidFile=$t/run/slurmd.pid
SlurmctldLogFile=$t/log/slurmctld
SlurmdLogFile=$t/log/slurmd
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
SlurmctldTimeout=30
SlurmdTimeout=60
MinJobAge=3600
KillWait=20
JobRequeue=1
MpiDefault=none
SwitchType=switch/none
SchedulerParameters=sched_interval=2,bf_interval=5
NodeName=$host NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=main Nodes=$host Default=YES MaxTime=INFINITE State=UP
END
SLURM_CONF=$t/slurm.conf && export SLURM_CONF
begin() { # NAME COMMAND...: a daemon in the foreground of a process of ours
    name=$1
    shift
    "$@" >"$t/log/$name.out" 2>&1 &
    daemons="$! $daemons"
}
begin munged munged --foreground --force --socket="$t/munge/socket" --key-file="$t/munge/key" --pid-file="$t/munge/pid" \
    --log-file="$t/munge/log" --seed-file="$t/munge/seed" --num-threads=2
i=0
while [ $i -lt 50 ] && [ ! -S "$t/munge/socket" ]; do sleep 0.1 && i=$((i + 1)); done
[ -S "$t/munge/socket" ] || { cat "$t/log/munged.out" >&2; skip 'munged does not start here'; }
begin slurmctld slurmctld -D -c -f "$t/slurm.conf"
sleep 1
begin slurmd slurmd -D -c -N "$host" -f "$t/slurm.conf"
i=0
while [ $i -lt 100 ] && ! sinfo -h -o %t 2>/dev/null | grep -q idle; do sleep 0.3 && i=$((i + 1)); done
sinfo -h -o %t 2>/dev/null | grep -q idle || {
    tail -n 5 "$t/log/slurmctld" "$t/log/slurmd" "$t/log/slurmctld.out" "$t/log/slurmd.out" 2>/dev/null | sed 's/^/# /'
    skip 'slurmctld and slurmd do not come up here'
}

# ---- what is asked

cd "$t" || exit 1
ask() { "$program" "$@"; }
# ended JOB: waits until no task of it is queued or runs.  Slurm lets a requeued task wait for two minutes; not here.
ended() {
    for _ in $(seq 300); do
        state=$(squeue -h -o %T -j "$1" 2>/dev/null | head -n 1)
        [ "$state" ] || return 0
        [ "$state" != PENDING ] || scontrol update jobid="$1" starttime=now 2>/dev/null
        sleep 0.3
    done
    return 1
}
# cells DIR: the sums of all files of cells
cells() {
    (cd "$1" && find . -path ./logs -prune -o -path ./summary -prune -o -name 'sweep.*' -prune -o -type f -print |
        LC_ALL=C sort | xargs -d '\n' cksum)
}
"$program" data make changes --n 240 --seed 3 --difficulty 0 --quiet --out c.jsonl >out 2>err
small=layers=1,dim=32,heads=2,hidden=64,vocab=400,length=64,steps=20
often='--epochs 3 --batch 16 --evaluations 2 --threads 1'
# shellcheck disable=SC2086
"$program" sweep tune --task jit --train c.jsonl --encoder $small $often lr=1e-3,3e-3 seed=1..2 --out here --quiet >out 2>err
result $? 'a sweep without Slurm'

# shellcheck disable=SC2086
"$program" sweep tune --task jit --train c.jsonl --encoder $small $often lr=1e-3,3e-3 seed=1..2 --out array --slurm \
    --slurm-option time=10 --slurm-option partition=main >out 2>err
job=$(cat out)
[ "$job" ] && ended "$job"
result $? "an array of four tasks (job $job)"
cells here >here.sums && cells array | cmp -s here.sums -
code=$?
[ $code = 0 ] || { cat array/logs/slurm-* >err 2>&1; cells array | diff here.sums - >out; }
result $code '... leaves the same bytes'
expect 0 'Best by validation: f1' '... which are collected' sweep collect array

# A task that is stopped in the middle saves its work, is requeued, and continues.  One cell, long enough to be met.
long="--epochs 40 --batch 8 --evaluations 1 --threads 1"
# shellcheck disable=SC2086
"$program" sweep tune --task jit --train c.jsonl --encoder $small $long seed=5 --out calm --quiet >out 2>err
# taken NAME HOW...: the array of one task, its machine taken away by HOW JOB as soon as it trains
taken() {
    name=$1
    shift
    # shellcheck disable=SC2086
    "$program" sweep tune --task jit --train c.jsonl --encoder $small $long seed=5 --out "$name" --slurm --quiet \
        --slurm-option time=10 >out 2>err
    job=$(cat out) i=0
    while [ $i -lt 300 ] && ! grep -qs '"tuning", *"step"' "$name/seed=5/unfinished/metrics.jsonl" &&
        ! grep -qs 'tuning' "$name/seed=5/unfinished/metrics.jsonl"; do sleep 0.1 && i=$((i + 1)); done
    "$@" "${job}_0"
    asked=$?
    sleep 1
    [ $asked = 0 ] && ended "$job"
    result $? "$name: the task is stopped and comes back (job $job)"
    cells calm >calm.sums && cells "$name" | cmp -s calm.sums -
    code=$?
    [ $code = 0 ] || { cat "$name"/logs/slurm-* "$name"/logs/*.log >err 2>&1; cells "$name" | diff calm.sums - >out; }
    result $code "... and ends in the bytes of an undisturbed one"
}
warned() { scancel --signal=USR1 --batch "$1"; }
taken warned warned
[ "$(wc -l <"warned/logs/seed=5.jsonl")" -ge 2 ] && head -n 1 "warned/logs/seed=5.jsonl" | grep -q '"exit": *75'
result $? '... after an attempt that ended with exit code 75'
taken requeued scontrol requeue

# Two submissions of one cell do not harm each other.
# shellcheck disable=SC2086
"$program" sweep tune --task jit --train c.jsonl --encoder $small $often seed=1 --out twice --slurm --quiet >out 2>err
sbatch --parsable twice/sweep.sbatch >again 2>>err
ended "$(cat out)" && ended "$(cat again)"
result $? 'two arrays over one cell end'
[ "$(cd twice && find . -name manifest.json | wc -l)" = 1 ]
result $? '... with one whole result'

if [ "$VERNIER_MPI" ] && have mpirun; then
    # shellcheck disable=SC2086
    srun -n 2 --overcommit --mpi=pmix "$VERNIER_MPI" tune --task jit --train c.jsonl --encoder $small $often --seed 1 --out ranks \
        >out 2>err
    code=$?
    if [ $code != 0 ] && grep -q 'pmix' err; then
        echo "ok $((n = n + 1)) - srun with two ranks # SKIP this Slurm has no pmix"
    else
        result $code 'srun with two ranks'
    fi
else
    echo "ok $((n = n + 1)) - srun with two ranks # SKIP the program is not built with MPI"
fi
echo "1..$n"
