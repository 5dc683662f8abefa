# Adverse surroundings: a full disk, a read-only directory, limits on file size and memory, a closed standard output, a
# locale with a decimal comma, a narrow terminal, odd path names.  Every command that writes answers with one sentence
# and the right exit code, and leaves no half-written file behind.  TAP on stdout.
. tests/cli/tap
case $VERNIER in /*) ;; *) VERNIER=$PWD/$VERNIER ;; esac
w=$t/inputs
mkdir "$w"
{
    "$VERNIER" data make changes --n 40 --seed 3 --out "$w/changes.jsonl"
    "$VERNIER" tune --task jit --train "$w/changes.jsonl" --method words --out "$w/words"
    "$VERNIER" tune --task jit --train "$w/changes.jsonl" --method lora --epochs 1 --out "$w/lora" \
        --encoder layers=1,dim=16,heads=2,hidden=32,vocab=300,length=32,steps=2
    "$VERNIER" predict "$w/words" "$w/changes.jsonl" --csv >"$w/scores.csv"
    "$VERNIER" probe --task typ --preset smoke --out "$w/typ"
    git init -q "$t/r"
    for i in $(seq 20); do
        awk "BEGIN { for (k = 0; k < 20; k++) print \"    int function_\" k \"_of_$i() { return \" k \" * $i; }\" }" >>"$t/r/A.java"
        git -C "$t/r" add A.java
        git -C "$t/r" -c user.name=Ann -c user.email=ann@x.org commit -qm "Add the function number $i of this file"
    done
} >"$t/made" 2>&1
encoder=$w/typ/encoder-seed1

# in_turn PLACE CHECK: CHECK NAME WORDS... for every command that writes below PLACE
in_turn() {
    $2 'toy' toy e1 --preset smoke --set dim=8 --quiet --out "$1/toy"
    $2 'probe' probe --task typ --preset smoke --quiet --out "$1/probe"
    $2 'tune, words' tune --task jit --train "$w/changes.jsonl" --method words --quiet --out "$1/words"
    $2 'data mine' data mine "$t/r" --quiet --out "$1/mined.jsonl"
    $2 'data make' data make changes --n 200 --quiet --out "$1/made.jsonl"
    $2 'attend, figures' attend --model "$encoder" --text 'int x = 1;' --quiet --out "$1/attend"
    $2 'attend, page' attend --model "$encoder" --text 'int x = 1;' --quiet --html "$1/page.html"
    $2 'model convert' model convert "$encoder" "$1/model.bin"
    $2 'adapter convert' adapter convert "$w/lora" "$1/hub" --to adapters
    $2 'adapter merge' adapter merge "$w/lora/encoder" "$w/lora" "$1/merged"
    $2 'report' report "$w/typ" --out "$1/report.html"
}
# The last command ended with GOT; its errors are one line that begins with the program's name.
one_sentence() { [ "$(grep -c '^vernier: ' "$t/err")" = 1 ] && [ "$(wc -l <"$t/err")" -le 2 ]; }
# A mining leaves what the same command goes on from.
no_halves() { [ -z "$(find "$1" -name '*.part*' ! -name 'mined.jsonl*' | head -n 1)" ]; }

# ---- a disk that is full, and one that is read-only
refuses() { # NAME WORDS...
    name=$1
    shift
    timeout 60 "$VERNIER" "$@" >"$t/out" 2>"$t/err"
    got=$?
    [ $got = 3 ] && one_sentence && grep -q "$reason" "$t/err" && no_halves "$place"
    result $? "$reason: $name (exit $got)"
}
mkdir "$t/disk"
if mount -t tmpfs -o size=2m tmpfs "$t/disk" 2>/dev/null; then
    trap 'umount "$t/disk"; rm -rf "$t"' EXIT
    place=$t/disk
    head -c 2080000 /dev/zero >"$place/ballast"
    reason='No space left on device' in_turn "$place" refuses
    rm "$place/ballast"
    mount -o remount,ro "$place"
    reason='Read-only file system' in_turn "$place" refuses
    mount -o remount,rw "$place"
else
    echo "ok $((n += 1)) - full and read-only disks # SKIP no right to mount one"
fi

# ---- a limit on the size of files
limited() { # NAME WORDS...
    name=$1
    shift
    (ulimit -f 2 && exec timeout 60 "$VERNIER" "$@") >"$t/out" 2>"$t/err"
    got=$?
    [ $got = 3 ] && one_sentence && no_halves "$t/small"
    result $? "a limit on file size: $name (exit $got)"
}
mkdir "$t/small"
in_turn "$t/small" limited

# ---- a limit on memory: it is enough, or one sentence says that it is not
bounded() { # NAME WORDS...
    name=$1
    shift
    fine=0
    for k in 500000 700000 1500000; do
        rm -rf "$t/memory" && mkdir "$t/memory"
        (ulimit -v $k && exec timeout 60 "$VERNIER" "$@") >"$t/out" 2>"$t/err"
        got=$?
        case $got in 0) ;; 1 | 3) one_sentence ;; *) false ;; esac || { fine=1 && break; }
    done
    result $fine "a limit on memory, $k KiB: $name (exit $got)"
}
case $("$VERNIER" --version) in
*sanitize*) echo "ok $((n += 1)) - limits on memory # SKIP sanitizers reserve more" ;;
*) in_turn "$t/memory" bounded ;;
esac

# ---- standard output is closed
unheard() { # NAME WORDS...
    name=$1
    shift
    timeout 60 "$VERNIER" "$@" >&- 2>"$t/err"
    got=$?
    : >"$t/out"
    case $got in 0) ;; 3) grep -q '^vernier: standard output' "$t/err" ;; *) false ;; esac
    result $? "standard output is closed: $name (exit $got)"
}
mkdir "$t/unheard"
in_turn "$t/unheard" unheard
for c in list --help --version "model inspect $encoder" "score --task defect --draws 0 $w/scores.csv" "predict $w/words $w/changes.jsonl"; do
    # shellcheck disable=SC2086
    "$VERNIER" $c >&- 2>"$t/err"
    got=$?
    [ $got = 3 ] && grep -q '^vernier: standard output' "$t/err"
    result $? "standard output is closed: ${c%% /*} (exit $got)"
done

# ---- a decimal comma
comma=$(locale -a 2>/dev/null | grep -im 1 '^\(de_DE\|fr_FR\|es_ES\|nl_NL\|pl_PL\).utf-\{0,1\}8$')
if [ -n "$comma" ]; then
    for c in "score --task defect --draws 20 $w/scores.csv" "predict $w/words $w/changes.jsonl --json" "model inspect $encoder" \
        "attend --model $encoder --text x --json --overwrite --out $t/comma" "list --json"; do
        # shellcheck disable=SC2086
        LC_ALL=C "$VERNIER" $c >"$t/point" 2>"$t/err"
        # shellcheck disable=SC2086
        LC_ALL=$comma "$VERNIER" $c >"$t/out" 2>"$t/err"
        cmp -s "$t/point" "$t/out"
        result $? "a decimal comma: ${c%% /*}"
    done
else
    echo "ok $((n += 1)) - a decimal comma # SKIP no such locale here"
fi

# ---- a terminal of twenty columns: no line of progress is longer
if command -v script >/dev/null; then
    script -qec "stty cols 20 rows 10; '$VERNIER' toy e1 --preset smoke --set dim=8 --set full-steps=400 --out '$t/narrow' >/dev/null" \
        /dev/null </dev/null >"$t/raw" 2>"$t/err"
    tr '\r' '\n' <"$t/raw" | sed 's/\x1b\[[0-9;]*[A-Za-z]//g' >"$t/out"
    grep -q jobs "$t/out" && ! grep -q '.\{21,\}' "$t/out"
    result $? 'progress keeps to a narrow terminal'
else
    echo "ok $((n += 1)) - a narrow terminal # SKIP no script(1)"
fi

# ---- odd names of paths
accepts() { # NAME WORDS...
    name=$1
    shift
    timeout 60 "$VERNIER" "$@" >"$t/out" 2>"$t/err"
    got=$?
    [ $got = 0 ] && ! LC_ALL=C grep -q "$(printf '[\001-\010\013-\037\177]')" "$t/out" "$t/err"
    result $? "odd path: $name (exit $got)"
}
for odd in 'a b' 'per%scent%n' "quo'te\"" 'back\slash' "new
line" 'ünï' "$(printf 'bytes\377\200')" "$(printf 'red\033[31m')" '{"a":1}' '<b>&amp;' '*?[x]' '#hash;semi' '~'; do
    mkdir "$t/$odd" && in_turn "$t/$odd" accepts
done
long=$(printf '%0255d' 0)
mkdir "$t/$long" && in_turn "$t/$long" accepts
too_long() { # NAME WORDS...
    name=$1
    shift
    "$VERNIER" "$@" >"$t/out" 2>"$t/err"
    got=$?
    [ $got = 3 ] && one_sentence
    result $? "a name that is too long: $name (exit $got)"
}
in_turn "$t/${long}0" too_long
echo "1..$n"
