# The demonstration at its smallest: what `make run` does, in seconds.  TAP on stdout.
: "${VERNIER:=build/release/vernier}"
t=$(mktemp -d) || exit 1
trap 'rm -rf "$t"' EXIT
n=0
result() {
    n=$((n + 1))
    if [ "$1" = 0 ]; then echo "ok $n - $2"; else
        echo "not ok $n - $2"
        sed 's/^/# /' "$t/out" "$t/err" | tail -n 20
    fi
}
"$VERNIER" demo --preset smoke --out "$t/o" >"$t/out" 2>"$t/err"
result $? 'the demonstration ends well'
[ "$(tail -n 1 "$t/out")" = "report $t/o/report.html" ]
result $? 'the last line names the page'
grep -q '<svg' "$t/o/report.html" && ! grep -Eq '(src|href)="(https?:|/)' "$t/o/report.html"
result $? 'the page has figures and needs no other file'
[ "$(find "$t/o" -name results.json | wc -l)" = 5 ] && [ "$(grep -c "^  results" "$t/out")" = 5 ]
result $? 'each experiment left its results'
for f in "$t/o"/theory/*/results.json; do # the trained ones need more steps than smoke has
    grep -q '"verdict":.*"holds"' "$f"
    result $? "the claim of ${f#"$t/o/"} holds"
done
echo "1..$n"
