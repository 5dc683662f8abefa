# How the program behaves at its edges: help, version, wrong usage, full disks, gone readers.  TAP on stdout.
. tests/cli/tap
one_line() { [ "$(wc -l <"$t/err")" = 1 ] && [ ! -s "$t/out" ]; }

expect 0 '^example' 'overview has an example' --help
expect 0 '^usage: vernier COMMAND' 'help is --help' help
expect 0 '^vernier [^ ]+$' 'version' --version
expect 2 'no command is given' 'no command at all'
for c in $("$VERNIER" --help | sed -n '/^commands/,/^$/s/^  \([a-z-]*\) .*/\1/p'); do
    expect 0 '^  vernier '"$c" "$c --help has an example" "$c" --help
    [ ! -s "$t/err" ]
    result $? "$c --help says nothing on stderr"
    ! LC_ALL=C grep -n '.\{101,\}' "$t/out" >"$t/err"
    result $? "... in lines of 100 columns"
    "$VERNIER" help "$c" | cmp -s - "$t/out"
    result $? "help $c is the same"
    case $c in run | theory | toy | probe | demo | model) continue ;; esac # which take settings: runs.sh, below
    expect 2 'unknown option --prset' "$c refuses an unknown option" "$c" --prset
    one_line
    result $? "... in one line"
done
expect 2 'did you mean list' 'unknown command, with the nearest' lst
one_line
result $? '... in one line'
expect 2 "lists the commands" 'unknown command far from any' xyzzyxyzzy
expect 2 'did you mean --json' 'unknown option, with the nearest' list --jsn
expect 2 'needs a value' 'an option without its value' run x/y --out
expect 2 'takes no value' 'a switch with a value' list --json=yes
expect 2 'options begin with two dashes' 'a short option' list -j
expect 2 'operand' 'too many operands' list theory toy
expect 2 'operand' 'too few operands' run
expect 2 'no experiment' 'unknown experiment' run no/such
expect 2 'no experiment "toy/nosuch"; .vernier list. names them' 'one that is near to none of its group' run toy/nosuch
expect 2 'did you mean theory/prefix-bias' 'unknown experiment, with the nearest' theory prefix-bais
expect 2 'did you mean theory/one-token\?' '... and where it is of another group' toy one-token
expect 2 'no setting "steps"; it has pretrain-steps' 'a part of a setting is no misspelt option' toy e1 --steps 3
expect 0 'default out' 'where the demonstration goes' demo --help
expect 2 'no field of a model; known are vocab' 'unknown field of a model' model inspect --layrs 2
expect 2 'dtype is for convert' 'an option of another verb' model list "$t" --dtype F16
expect 2 'unknown option --dim' 'a setting of another verb' model list "$t" --dim 3
expect 2 'is for mine, make changes' 'an option of two other verbs' data make typ --n 3 --out "$t/x"
expect 2 'meteor is for messages' 'an option of another task' score --task lines --meteor "$t" "$t/x"
expect 2 'to is for convert' 'an option of another verb' adapter inspect "$t" --to hf
expect 2 'rank requires --method' 'the rank of no method' model inspect --rank 4
for alias in size virtual-tokens virtual_tokens; do
    expect 2 'rank requires --method' "--$alias is --rank" model inspect --$alias 4
    ! "$VERNIER" model inspect --help | grep -q -- "^  --$alias"
    result $? '... and help does not show it as an option'
done
# the name that help shows, and the older ones that are still accepted: an error names the first
for pair in generate:max-new-tokens:max generate:num-beams:beams generate:num-return-sequences:best \
    tokenize:max-length:most tokenize:truncation:cut tokenize:truncation-side:side score:bootstrap-samples:draws; do
    c=${pair%%:*} old=${pair##*:} new=${pair#*:} && new=${new%:*}
    "$VERNIER" $c --help >"$t/out" 2>"$t/err" && grep -q "^  --$new " "$t/out" && ! grep -q "^  --$old " "$t/out"
    result $? "$c --help shows --$new and not --$old"
    for name in $new $old $(echo $new | tr - _); do
        expect 2 "option --$new needs a value" "$c --$name is --$new" $c --$name
    done
done
expect 2 'unknown option --maxnewtokens; did you mean --max-new-tokens' 'a name without its dashes' generate --maxnewtokens 3
expect 0 'mine, make changes: ' 'help says whose an option is' data --help
expect 2 'expected 1 to 1024' 'threads out of range' list --threads 0

if [ -w /dev/full ]; then
    "$VERNIER" list --json >/dev/full 2>"$t/err"
    [ $? = 3 ] && grep -q 'standard output: No space left' "$t/err"
    result $? 'full disk on stdout'
else
    echo "ok $((n += 1)) - full disk on stdout # SKIP no /dev/full"
fi
if [ -c /dev/zero ]; then
    expect 3 '/dev/zero: does not end within' 'an input without an end' score --task defect /dev/zero
    one_line
    result $? '... in one line'
fi
VERNIER_ARENA_MB=1 ask model inspect --arch roberta >"$t/out" 2>"$t/err"
[ $? = 1 ] && grep -q '^vernier: memory exhausted: [0-9]* bytes requested' "$t/err" && one_line
result $? 'no memory is said in one line, not by a crash'
case $("$VERNIER" --version) in
*sanitize*) echo "ok $((n += 1)) - a limit of address space # SKIP sanitizers reserve more" ;;
*)
    (ulimit -v 800000 && "$VERNIER" data make typ --sizes 6,2,2 --out "$t/typ.txt") >"$t/out" 2>"$t/err"
    result $? 'a limit of address space leaves room for work'
    ;;
esac
{ "$VERNIER" list --help; echo $? >"$t/code"; } 2>"$t/err" | true
sleep 0.1
[ "$(cat "$t/code")" = 0 ] && [ ! -s "$t/err" ]
result $? 'a reader that goes away is no error'
# Threads sleep while they wait, or on a busy machine they take the cores from those that they wait for.
policy() { OMP_DISPLAY_ENV=true "$@" "$VERNIER" --version 2>&1 >"$t/out" | sed -n "s/.*OMP_WAIT_POLICY = '\(.*\)'/\1/p" | tail -1; }
[ "$(policy env -u OMP_WAIT_POLICY -u GOMP_SPINCOUNT)" = PASSIVE ]
result $? 'threads that wait sleep'
[ "$(policy env OMP_WAIT_POLICY=active)" = ACTIVE ]
result $? "... unless the user's environment says otherwise"
echo "1..$n"
