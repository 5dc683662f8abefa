# vernier data mine beside git itself: renames in made histories, pasts, unknown lines, filters, ranges and days.  TAP.
. tests/cli/tap
ask() { "$VERNIER" data mine "$@"; }
if ! command -v git >/dev/null; then
    echo "ok 1 - histories # SKIP no git"
    echo "1..1"
    exit
fi
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 LC_ALL=C
all='--whole-message --min-words 0 --max-words 0 --max-files 0 --max-chars 0 --mixed --keep merges,reverts,releases,bots
    --features'

# history SEED FILES COMMITS: a repository at $t/h as git fast-import reads it: files are made, edited, moved, moved and
# edited, many of them alike, code and other files, which stay apart.
history() {
    rm -rf "$t/h" && git init -q "$t/h" && awk -v seed="$1" -v files="$2" -v commits="$3" '
        function pick(n) { return int(rand() * n) }
        function code(path) { return path !~ /txt$/ }
        function name(is_code) { return dir[pick(5)] "f" pick(files) (is_code ? end[pick(2)] : ".txt") }
        function line(k) { return (words ? "word " : "int ") (k % 7 ? "v" k : "x") " = " k * 7919 % 1000 ";\n" }
        function text(   s, i, k) {
            k = pick(40)
            for (i = pick(30); i >= 0; i--) s = s line(k + i)
            return s
        }
        function edited(s,   part, n, i, out) {
            n = split(s, part, "\n")
            for (i = 1; i < n; i++) if (rand() > spoil) out = out part[i] "\n"; else if (rand() > 0.5) out = out line(pick(99))
            return out
        }
        function put(path, s) { printf "M 100644 inline %s\ndata %d\n%s\n", path, length(s), s; here[path] = s }
        function drop(path) { if (path in here) { printf "D %s\n", path; delete here[path] } }
        function some(   i, p) { i = pick(length(here)); for (p in here) if (i-- <= 0) return p }
        BEGIN {
            srand(seed)
            split("a/ b/ a/c/ d/ e/", d, " "); for (i in d) dir[i - 1] = d[i]
            dir[4] = ""
            end[0] = ".c"; end[1] = ".java"
            for (c = 1; c <= commits; c++) {
                printf "commit refs/heads/main\ncommitter Ann <ann@x.org> %d +0000\ndata %d\ncommit %d\n", \
                    1500000000 + 86400 * c, length("commit " c "\n"), c
                for (i = pick(12); i >= 0; i--) {
                    spoil = pick(6) / 10
                    from = some(); what = pick(5)
                    words = what == 0 || from == "" ? pick(4) == 0 : !code(from)
                    to = name(!words)
                    if (what == 0 || from == "") put(to, text())
                    else if (what == 1) put(from, edited(here[from]))
                    else if (!(to in here)) { s = here[from]; drop(from); put(to, what == 2 ? s : edited(s)) }
                }
                printf "\n"
            }
        }' | git -C "$t/h" fast-import --quiet
    git -C "$t/h" symbolic-ref HEAD refs/heads/main
}
# Of every commit with a changed line the files of its record, and git's own entries; other files than code left out.
ours() {
    sed -E 's/.*"message": "([^"]*)".*"files": /\1 /; s/"lines": \[([^]"]|"[^"]*")*\]//g' "$1" | grep -oE \
        '^commit [0-9]+|"old": "[^"]*", "new": "[^"]*", "status": "[a-z]*"' |
        sed -E 's/"old": "([^"]*)", "new": "([^"]*)", "status": "(.).*"/\3 \1 \2/'
}
gits() {
    git -C "$1" log --reverse --format='commit %s' --root -M --name-status | sed 's/^commit commit/commit/' | awk -F'\t' '
        /^commit/ { if (changed) printf "%s", list; list = $0 "\n"; changed = 0; next }
        $NF !~ /[.](c|java)$/ { next }
        { list = list tolower(substr($1, 1, 1)) " " $2 " " $NF "\n"; changed += $1 != "R100" }
        END { if (changed) printf "%s", list }'
}
same=0 renamed=0
for seed in 1 2 3 4 5 6 7 8; do
    history $seed $((10 * seed)) 60
    # shellcheck disable=SC2086
    "$VERNIER" data mine "$t/h" --out "$t/h$seed.jsonl" $all --quiet >"$t/out" 2>"$t/err"
    ours "$t/h$seed.jsonl" >"$t/ours"
    gits "$t/h" >"$t/gits"
    diff "$t/ours" "$t/gits" >"$t/err" && same=$((same + 1))
    renamed=$((renamed + $(grep -c '^r' "$t/gits")))
done
[ $same = 8 ] && [ $renamed -gt 100 ]
result $? "the files of every commit are those of git log -M ($renamed renames in $same of 8 histories)"

# ---- one repository, commit by commit
begin() { # DIR
    rm -rf "$t/r" "$t"/*.jsonl && git init -q "$t/r" && now=1600000000 author=Ann
    git -C "$t/r" config core.autocrlf false && git -C "$t/r" symbolic-ref HEAD refs/heads/main
}
commit() { # MESSAGE: of all that is there, a day later
    now=$((now + 86400)) && git -C "$t/r" add -A &&
        GIT_AUTHOR_DATE="$now +0000" GIT_COMMITTER_DATE="$now +0000" git -C "$t/r" -c user.name="$author" \
            -c user.email="${address:-$author@x.org}" commit -q --allow-empty -m "$1"
}
line() { # TEXT: one more line in a.c, committed with the text as message
    echo "int v$now;" >>"$t/r/a.c" && commit "$1"
}
of() { # PATTERN NAME: a field of the one record with such a message
    grep "\"message\": \"$1" "$t/o.jsonl" | sed -E "s/.*\"$2\": ([^,}]*).*/\1/"
}
mine() { rm -f "$t/o.jsonl" && ask "$t/r" --out "$t/o.jsonl" "$@" >"$t/out" 2>"$t/err"; }
has() { [ "$(of "$1" "$2")" = "$3" ] || { echo "$2 of $1 is $(of "$1" "$2"), expected $3" >>"$t/err" && false; }; }

begin
mkdir "$t/r/s"
i=0
while [ $i -lt 30 ]; do
    i=$((i + 1)) && printf 'int f%d;\nint g%d;\nint h%d;\n' $i $((i * 7919)) $((i * 31)) >"$t/r/s/f$i.c"
done
commit 'files come in'
mv "$t/r/s" "$t/r/u" && mkdir "$t/r/p"
i=0
while [ $i -lt 1100 ]; do
    i=$((i + 1)) && echo $i >"$t/r/p/$i.png" && echo "a $i" >"$t/r/p/$i.csv"
done
for f in "$t"/r/u/*.c; do echo 'int more;' >>"$f" && mv "$f" "${f%.c}x.c"; done
commit 'they move beside others'
echo 'int last;' >>"$t/r/u/f7x.c" && commit 'one changes'
# shellcheck disable=SC2086
mine $all
has 'they move' la 30 && has 'they move' ld 0 && has 'one changes' nuc 2 && has 'one changes' lt 4
result $? 'files that are no code do not count towards the limit of renames'

# Files that move, change and take other names at once: more than 1000 x 1000 pairs are not compared, with a remark.
begin
awk 'BEGIN { for (c = 1; c <= 2; c++) {
        printf "commit refs/heads/main\ncommitter Ann <ann@x.org> %d +0000\ndata 4\nmove\n", 1600000000 + c
        for (i = 0; i < 1001; i++) {
            if (c == 2) printf "D s/f%d.c\n", i
            s = sprintf("int f%d;\nint g%d;\nint h%d;\n%s", i, i * 7919, i * 31, c == 2 ? "int more;\n" : "")
            printf "M 100644 inline %s%d.c\ndata %d\n%s\n", c == 1 ? "s/f" : "t/n", i, length(s), s
        } } }' | git -C "$t/r" fast-import --quiet
# shellcheck disable=SC2086
mine $all
has move la 3003 2>/dev/null
[ "$(sed -n '2s/.*"la": \([0-9]*\), "ld": \([0-9]*\),.*/\1 \2/p' "$t/o.jsonl")" = '4004 3003' ] &&
    grep -q '1  changed too many files' "$t/out"
result $? 'the limit of git holds among code files, and is told'

# Nobody's configuration decides what is a rename; the option does, as git's own does.
begin
for i in 1 2 3; do seq ${i}000 ${i}040 | sed 's/.*/int v&;/' >"$t/r/f$i.c"; done
commit 'three files come'
for i in 1 2 3; do echo 'int more;' >>"$t/r/f$i.c" && mv "$t/r/f$i.c" "$t/r/g$i.c"; done
commit 'three files move'
numstat() { # OPTIONS...: lines added and deleted in the last commit, as git has them
    git -C "$t/r" "$@" -1 --format= --numstat -M | awk '{ la += $1; ld += $2 } END { print la, ld }'
}
counts() { # OPTIONS...: the same, as mined
    # shellcheck disable=SC2086
    mine $all "$@" && sed -n '2s/.*"la": \([0-9]*\), "ld": \([0-9]*\),.*/\1 \2/p' "$t/o.jsonl"
}
for limit in 0 1 2 3 1000; do
    [ "$(counts --rename-limit $limit)" = "$(numstat -c diff.renameLimit=$limit log)" ]
    result $? "--rename-limit $limit is diff.renameLimit $limit"
done
plain=$(counts) && cp "$t/o.jsonl" "$t/plain.jsonl"
printf '[diff]\n\trenameLimit = 1\n\trenames = false\n\talgorithm = patience\n[core]\n\tbigFileThreshold = 1\n' >"$t/config"
GIT_CONFIG_GLOBAL=$t/config HOME=$t XDG_CONFIG_HOME=$t counts >"$t/counted" && cmp -s "$t/o.jsonl" "$t/plain.jsonl"
result $? "the user's configuration changes no byte ($plain)"
cp "$t/config" "$t/.gitconfig" && mkdir "$t/git" && cp "$t/config" "$t/git/config"
(unset GIT_CONFIG_GLOBAL && HOME=$t XDG_CONFIG_HOME=$t counts >"$t/counted") && cmp -s "$t/o.jsonl" "$t/plain.jsonl" &&
    [ "$(unset GIT_CONFIG_GLOBAL && HOME=$t git config diff.renameLimit)" = 1 ]
result $? '... wherever it is'
cp "$t/r/.git/config" "$t/config" && git -C "$t/r" config diff.renameLimit 1 && git -C "$t/r" config diff.renames copies
counts >"$t/counted" && cmp -s "$t/o.jsonl" "$t/plain.jsonl"
result $? "nor does the repository's own"
grep -q 'configuration sets diff.renameLimit to 1, which is not followed' "$t/err" &&
    grep -q 'configuration sets diff.renames to copies, which is not followed' "$t/err"
result $? '... of which a remark tells'
rm -f "$t/.gitconfig"

begin
x=$(printf 'a\351.c') y=$(printf 'a\350.c')
echo 'int a;' >"$t/r/$x" && commit 'the first comes'
echo 'int b;' >>"$t/r/$x" && commit 'the first changes'
author=Bob && echo 'int c;' >"$t/r/$y" && commit 'the second comes'
echo 'int d;' >>"$t/r/$y" && commit 'the second changes'
# shellcheck disable=SC2086
mine $all
has 'the first changes' nuc 1 && has 'the second comes' nuc 0 && has 'the second changes' nuc 1 &&
    has 'the second changes' ndev 1 && grep -qF '"new": "\"a\\351.c\""' "$t/o.jsonl" && iconv -f UTF-8 -t UTF-8 "$t/o.jsonl" \
    >/dev/null
result $? 'paths are bytes, and quoted where they are no UTF-8'

begin
seq 1 30 | sed 's/^/int number_of_them_/;s/$/;/' >"$t/r/a.c" && echo 'int b;' >"$t/r/b.c" && commit 'a big file comes'
echo 'int more_of_them;' >>"$t/r/a.c" && commit 'it stays big'
printf 'int a;\nint b;\nint c;\n' >"$t/r/a.c" && commit 'it becomes small'
echo 'int d;' >>"$t/r/a.c" && commit 'it is changed'
# shellcheck disable=SC2086
mine $all --max-bytes 100
has 'it is changed' lt 3 && has 'it is changed' nuc 3 && [ "$(wc -l <"$t/o.jsonl")" = 1 ] && grep -q '3 .* a file too large' "$t/out"
result $? 'a file over --max-bytes is unknown, until it is not'
mv "$t/r/a.c" "$t/r/c.c" && commit 'it moves'
blob=$(git -C "$t/r" rev-parse HEAD~1:a.c | sed 's|^..|&/|')
echo 'int e;' >>"$t/r/c.c" && commit 'it is changed again'
rm -f "$t/r/.git/objects/$blob"
# shellcheck disable=SC2086
mine $all
echo 'int f;' >>"$t/r/c.c" && commit 'it is changed at last'
# shellcheck disable=SC2086
mine $all
has 'it is changed at last' lt 5 && has 'it is changed at last' nuc 6
result $? 'a content that is gone does not end the past of its file'

# A tree that is gone: the measures of the two commits beside it are unknown and counted, not passed over.
begin
line 'the first of three' && line 'the second of three' && line 'the third of three'
author=Bob && line 'the last one' && author=Ann && mkdir "$t/r/new" && echo 'int n;' >"$t/r/new/n.c" && commit 'a new file'
author=Cid && echo 'int m;' >>"$t/r/new/n.c" && commit 'a change to it'
tree=$(git -C "$t/r" rev-parse 'HEAD~4^{tree}' | sed 's|^..|&/|') && mv "$t/r/.git/objects/$tree" "$t/tree"
# shellcheck disable=SC2086
mine $all
for name in nuc ndev age sexp; do has 'the last one' $name $([ $name = sexp ] && echo 0 || echo null) || break; done &&
    has 'the last one' lt 3 && has 'the last one' la 1 && has 'a new file' nuc 0 && has 'a new file' exp 3 &&
    has 'a new file' sexp null && has 'a change to it' nuc 1 && has 'a change to it' ndev 1 &&
    grep -q '2  records have measures that are unknown (null)' "$t/out" && [ "$(wc -l <"$t/o.jsonl")" = 4 ]
result $? 'a tree that cannot be read leaves unknown what depends on it'
mv "$t/tree" "$t/r/.git/objects/$tree"

# The same path is the same file, before and after it was away.
begin
line 'it comes' && line 'it changes' && rm "$t/r/a.c" && commit 'it goes' && author=Bob && line 'it comes again'
line 'it changes again'
# shellcheck disable=SC2086
mine $all
has 'it comes again' nuc 3 && has 'it comes again' age 1 && has 'it comes again' lt 0 && has 'it comes again' ndev 1 &&
    has 'it changes again' nuc 4 && has 'it changes again' ndev 2 && has 'it changes again' lt 1
result $? 'a file that is deleted and made again keeps its past'

# ---- filters
begin
line 'Keep the cache small when idle'
line 'Bump version to 1.2.0' && line 'Release the lock after 10 seconds'
line 'Revert "Add a test for the parser"' && line 'Rollback transaction when the insert fails'
author='dependabot[bot]' && line 'Raise the version of foo now' && author='Travis Muster' && line 'Let people do it all'
author='Our Builder' && line 'Build the nightly of today' && author=Ann
line 'Größe der Datei geändert' && line 'Make HBASE-7 read UTF-8 in foo() (closes #12)'
git -C "$t/r" checkout -q -b side && line 'Work on the side branch' && git -C "$t/r" checkout -q main
echo 'int b;' >"$t/r/b.c" && commit 'Merge duplicate methods into one'
GIT_AUTHOR_DATE="$now +0000" GIT_COMMITTER_DATE="$now +0000" git -C "$t/r" -c user.name=Ann -c user.email=a@x.org merge -q \
    --no-ff -m 'Take over what the side did' side
expect 0 '"written": 8, .*"merge": 1, "bot": 1, "revert": 1, "release": 1, .*"unreadable_message": 1,' \
    'filters go by what a commit is' "$t/r" --out "$t/f.jsonl" --json
left() { # OUT KEEP: how many records there are with it
    ask "$t/r" --out "$t/$1.jsonl" --keep "$2" --quiet >"$t/out" 2>"$t/err" && wc -l <"$t/$1.jsonl"
}
[ "$(left 1 merges) $(left 2 reverts) $(left 3 releases) $(left 4 bots) $(left 5 unreadable)" = '9 9 9 9 9' ] &&
    [ "$(left 6 merges,reverts,releases,bots,unreadable)" = 13 ]
result $? '... each with a switch'
expect 2 "'all' is not one of merges, reverts, releases, bots, unreadable" '... of those there are' \
    "$t/r" --out "$t/x" --keep all
expect 0 '"written": 7, .*"bot": 2,' 'more robots' "$t/r" --out "$t/b.jsonl" --bots 'x@y.org, our builder' --json
grep -q '"message": "Make HBASE-7 read UTF-8 in foo()"' "$t/f.jsonl"
result $? 'a key that may be a name stays'
ask "$t/r" --out "$t/k.jsonl" --issue-prefix HADOOP,HBASE --quiet >"$t/out" 2>"$t/err" &&
    grep -q '"message": "Make read UTF-8 in foo()"' "$t/k.jsonl"
result $? '... unless its prefix is known'
expect 2 'issue-prefix A-1: expected prefixes' 'prefixes that are none' "$t/r" --out "$t/x" --issue-prefix A-1

# ---- ranges and days
git -C "$t/r" tag v1 HEAD~2
expect 0 '"written": 2, .*"merge": 1' 'an open end is HEAD' "$t/r" --out "$t/r1.jsonl" --range v1.. --json
expect 0 '"written": 0' 'an open start is HEAD' "$t/r" --out "$t/r2.jsonl" --range ..side --json
expect 2 'three dots' 'three dots' "$t/r" --out "$t/x" --range v1...side
for range in ^v1 'v1^!' ..^v1 'HEAD ^v1' 'v1^@' 'v1^-'; do
    expect 2 'spelled with \^A or A\^!, which is not supported, expected A..B' "$range" "$t/r" --out "$t/x" --range "$range"
done
expect 0 '"written"' 'a first parent is none of these' "$t/r" --out "$t/r4.jsonl" --range v1^..v1^0 --json
for day in 2024-02-30 2023-02-29 1900-02-29 2024-04-31 2024-13-01 2024-00-10 2024-01-00 2024-01-32 2024-1-31x; do
    expect 2 "since $day" "$day is no day" "$t/r" --out "$t/x" --since $day
    expect 2 "until $day" '... to either side' "$t/r" --out "$t/x" --until $day
done
expect 0 '"written": 8' 'a leap day' "$t/r" --out "$t/r3.jsonl" --since 2000-02-29 --until 2024-02-29 --json
expect 2 'no time is in between' 'days the wrong way about' "$t/r" --out "$t/x" --since 2024-01-02 --until 2024-01-02

# ---- times that cannot be read
begin
odd() { # AUTHOR-TIME COMMITTER-TIME MESSAGE: on top, with these times as they stand
    echo "int v$3;" >>"$t/r/a.c" && git -C "$t/r" add a.c && printf 'tree %s\nparent %s\nauthor Bob <b@x.org> %s\ncommitter Bob <b@x.org> %s\n\n%s\n' \
        "$(git -C "$t/r" write-tree)" "$(git -C "$t/r" rev-parse HEAD)" "$1" "$2" "$3" >"$t/commit" &&
        git -C "$t/r" update-ref refs/heads/main "$(git -C "$t/r" hash-object --literally -t commit -w "$t/commit")"
}
line 'the first of all' && now=$((now + 86400))
odd "$now +0000" 'yesterday +0000' "the author's counts" && line 'the one behind it' && now=$((now + 86400))
odd 'abc' '18446744073709551615 +0000' 'nobody knows when' && line 'the next one' && line 'the last of all'
# shellcheck disable=SC2086
mine $all && grep -q '1  commit has no readable time' "$t/out" &&
    has "the author's counts" time $((1600000000 + 2 * 86400)) && has "the author's counts" age 1 &&
    has 'the one behind it' age 1 && has 'nobody knows when' time null && has 'nobody knows when' age null &&
    has 'nobody knows when' rexp null && has 'the next one' age null && has 'the last of all' age 1
result $? 'the time of the author stands in, and else it is unknown'
expect 0 '"without_time": 1, .*"written": 1, "dated": 5,' '... and no date leaves it out' "$t/r" --out "$t/t1.jsonl" --json \
    --since 2030-01-01
expect 0 '"without_time": 1, .*"written": 1, "dated": 5,' '... on either side' "$t/r" --out "$t/t2.jsonl" --json \
    --until 1990-01-01

# ---- stopped and resumed
history 5 50 600
# shellcheck disable=SC2086
"$VERNIER" data mine "$t/h" --out "$t/whole.jsonl" $all --json >"$t/summary" 2>"$t/err"
stops=0
# shellcheck disable=SC2086
for seconds in 0.05 0.1 0.2 0.3 0.4 0.5; do
    "$VERNIER" data mine "$t/h" --out "$t/cut.jsonl" $all --json --resume >"$t/out" 2>"$t/err" &
    pid=$!
    sleep $seconds
    kill -KILL $pid 2>/dev/null && stops=$((stops + 1))
    wait $pid 2>/dev/null
done
# shellcheck disable=SC2086
[ -e "$t/cut.jsonl" ] || "$VERNIER" data mine "$t/h" --out "$t/cut.jsonl" $all --json --resume >"$t/out" 2>"$t/err"
cmp -s "$t/cut.jsonl" "$t/whole.jsonl" && [ ! -e "$t/cut.jsonl.state" ]
result $? "killed $stops times and resumed, it ends in the same bytes"

# ---- unfinished work that is there: it is continued, or a sentence gives the reason
killed() { # WORDS...: the mining of $t/h into $t/u.jsonl, killed behind its first save
    rm -f "$t"/u.jsonl*
    # shellcheck disable=SC2086
    "$VERNIER" data mine "$t/h" --out "$t/u.jsonl" $all "$@" >"$t/out" 2>"$t/err" &
    pid=$! i=0
    while [ $i -lt 400 ] && [ ! -e "$t/u.jsonl.state" ]; do sleep 0.01 && i=$((i + 1)); done
    kill -KILL $pid 2>/dev/null
    wait $pid 2>/dev/null
    [ -e "$t/u.jsonl.state" ] && [ ! -e "$t/u.jsonl" ] && cp "$t/u.jsonl.state" "$t/state" &&
        cp "$t/u.jsonl.vernier.part" "$t/part"
}
again() { ask "$t/h" --out "$t/u.jsonl" "$@"; } # without --resume
untouched() { cmp -s "$t/u.jsonl.state" "$t/state" && cmp -s "$t/u.jsonl.vernier.part" "$t/part"; }
killed && ask "$t/h" --out "$t/u.jsonl" $all >"$t/out" 2>"$t/err" && cmp -s "$t/u.jsonl" "$t/whole.jsonl" &&
    grep -q 'u.jsonl: an unfinished run is continued after [0-9]* of 600 commits; --overwrite would start anew' "$t/err"
result $? 'the same command continues a killed run, and says so'
killed
# shellcheck disable=SC2086
expect 2 'u.jsonl holds an unfinished run with other options \(context: there 1, now 3\)' 'other options are named' \
    "$t/h" --out "$t/u.jsonl" $all --context 3
untouched
result $? '... and the work stays'
git -C "$t/h" branch was && git -C "$t/h" checkout -q main && git -C "$t/h" reset -q --hard main~1
# shellcheck disable=SC2086
expect 2 'unfinished run up to commit [0-9a-f]{12}, and the range leads to [0-9a-f]{12} now; --resume' 'a branch that moved' \
    "$t/h" --out "$t/u.jsonl" $all
untouched
result $? '... and the work stays'
# shellcheck disable=SC2086
expect 0 'records in' '... continued with --resume' "$t/h" --out "$t/u.jsonl" $all --resume
cmp -s "$t/u.jsonl" "$t/whole.jsonl"
result $? '... up to where it was'
git -C "$t/h" reset -q --hard was && killed
# shellcheck disable=SC2086
expect 0 'records in' '--overwrite starts anew' "$t/h" --out "$t/u.jsonl" $all --overwrite
cmp -s "$t/u.jsonl" "$t/whole.jsonl" && ! grep -q continued "$t/err" && [ ! -e "$t/u.jsonl.state" ]
result $? '... without a word of continuing'
# damage FILE HOW: the file is no longer as it was saved
damage() {
    case $2 in
    byte) printf 7 | dd of="$1" bs=1 seek=$(($(wc -c <"$1") / 3)) conv=notrunc 2>/dev/null ;;
    number) sed -i 's/"done": [0-9]*/"done": 255/' "$1" ;;
    cut) head -c $(($(wc -c <"$1") / 2)) "$1" >"$1.new" && mv "$1.new" "$1" ;;
    empty) : >"$1" ;;
    foreign) echo '{"state": "of something else"}' >"$1" ;;
    pipe) rm "$1" && mkfifo "$1" ;;
    gone) rm "$1" ;;
    esac
}
killed
for how in byte number cut empty foreign pipe; do
    rm -f "$t"/u.jsonl*
    cp "$t/state" "$t/u.jsonl.state" && cp "$t/part" "$t/u.jsonl.vernier.part" && damage "$t/u.jsonl.state" $how
    # shellcheck disable=SC2086
    expect 3 'u.jsonl.state: is (damaged, or not the state of an unfinished run; --overwrite|not a regular file)' \
        "a state that is not as it was saved: $how" "$t/h" --out "$t/u.jsonl" $all
done
for how in byte cut empty gone; do
    rm -f "$t"/u.jsonl*
    cp "$t/state" "$t/u.jsonl.state" && cp "$t/part" "$t/u.jsonl.vernier.part" && damage "$t/u.jsonl.vernier.part" $how
    # shellcheck disable=SC2086
    expect 3 'vernier.part: (is shorter than the part|does not hold the records) .*; --overwrite starts anew' \
        "records that are not as they were saved: $how" "$t/h" --out "$t/u.jsonl" $all
done
# shellcheck disable=SC2086
expect 0 'records in' '... and --overwrite does' "$t/h" --out "$t/u.jsonl" $all --overwrite
cmp -s "$t/u.jsonl" "$t/whole.jsonl"
result $? '... with the same records'

# ---- one large file, whose comparison takes seconds
rm -rf "$t/h" && git init -q "$t/h" && awk '
    function commit(c, step,   i) {
        printf "commit refs/heads/main\ncommitter Ann <ann@x.org> %d +0000\ndata 8\ncommit %d\n", 1500000000 + 86400 * c, c
        printf "M 100644 inline a.c\ndata %d\n", 20 * lines
        for (i = 0; i < lines; i++) printf "int number_%07d;\n", i * step % lines
        printf "\n"
    }
    BEGIN { lines = 3; commit(1, 1); lines = 5; commit(2, 1); lines = 120011; commit(3, 7919); commit(4, 104729) }' |
    git -C "$t/h" fast-import --quiet && git -C "$t/h" symbolic-ref HEAD refs/heads/main
large() { # WORDS...
    # shellcheck disable=SC2086
    "$VERNIER" data mine "$t/h" $all --max-bytes 100000000 "$@"
}
large --out "$t/l.jsonl" >"$t/out" 2>"$t/err"
[ "$(tail -n 1 "$t/l.jsonl" | sed 's/.*"la": \([0-9]*\), "ld": \([0-9]*\),.*/\1 \2/')" = \
    "$(git -C "$t/h" log -1 --format= --numstat | cut -f1,2 | tr '\t' ' ')" ]
result $? "a large file's lines are counted as git counts them"
for signal in INT TERM; do
    rm -f "$t/m.jsonl"*
    { exec "$VERNIER" data mine "$t/h" $all --max-bytes 100000000 --out "$t/m.jsonl"; } >"$t/out" 2>"$t/err" &
    pid=$! i=0
    while [ $i -lt 400 ] && ! grep -qs '"done": 3' "$t/m.jsonl.state"; do sleep 0.01 && i=$((i + 1)); done
    sleep 0.2
    asked=$(date +%s%3N)
    kill -$signal $pid
    wait $pid
    code=$? took=$(($(date +%s%3N) - asked))
    [ $code = "$([ $signal = INT ] && echo 130 || echo 75)" ] && [ $took -lt 700 ] && grep -q interrupted "$t/err" && [ ! -e "$t/m.jsonl" ]
    result $? "SIG$signal ends a comparison that takes seconds (exit $code after $took ms)"
    large --out "$t/m.jsonl" >"$t/out" 2>"$t/err" && cmp -s "$t/l.jsonl" "$t/m.jsonl" &&
        grep -q 'continued after 3 of 4 commits' "$t/err"
    result $? '... and the same command goes on from the commit before it'
done
echo "1..$n"
