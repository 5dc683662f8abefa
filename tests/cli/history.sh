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
# Of every commit with a changed line the files of its record, and what git says of them; other files than code left out.
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
    "$VERNIER" data mine "$t/h" --out "$t/h.jsonl" $all --quiet --overwrite >"$t/out" 2>"$t/err" ||
        "$VERNIER" data mine "$t/h" --out "$t/h.jsonl" $all --quiet >"$t/out" 2>"$t/err"
    ours "$t/h.jsonl" >"$t/ours"
    gits "$t/h" >"$t/gits"
    diff "$t/ours" "$t/gits" >"$t/diff" && same=$((same + 1)) || { cp "$t/diff" "$t/err"; head -20 "$t/diff" | sed "s/^/# seed $seed: /"; }
    renamed=$((renamed + $(grep -c '^r' "$t/gits")))
done
[ $same = 8 ] && [ $renamed -gt 100 ]
result $? "the files of every commit are those of git log -M ($renamed renames in $same of 8 histories)"
echo "1..$n"
