# The demonstration at its smallest: the steps of `make run`, in seconds.  TAP on stdout.
. tests/cli/tap
"$VERNIER" demo --preset smoke --out "$t/o" >"$t/out" 2>"$t/err"
result $? 'the demonstration ends well'
[ "$(tail -n 1 "$t/out")" = "report $t/o/report.html" ]
result $? 'the last line names the page'
[ "$(wc -l <"$t/out")" -le 60 ] && sed -n '/^  experiment /,$p' "$t/out" >"$t/end" && [ "$(grep -c supported "$t/end")" -ge 2 ] &&
    [ "$(wc -l <"$t/end")" = 8 ] && ! grep -q '.\{81\}' "$t/end"
result $? 'before it stands a table of the verdicts, within 80 columns, and all is at most 60 lines'
grep -q '<svg' "$t/o/report.html" && ! grep -Eq '(src|href)="(https?:|/)' "$t/o/report.html"
result $? 'the page has figures and needs no other file'
[ "$(find "$t/o" -name results.json | wc -l)" = 5 ] && [ "$(grep -c "^  results" "$t/out")" = 5 ]
result $? 'each experiment left its results'
"$VERNIER" demo --preset smoke --out "$t/o" >"$t/out" 2>"$t/err"
[ $? = 0 ] && [ "$(grep -c 'not run again' "$t/out")" = 5 ] && [ "$(tail -n 1 "$t/out")" = "report $t/o/report.html" ]
result $? 'the demonstration again shows what was done'
for f in "$t/o"/theory/*/latest/results.json; do # the trained ones need more steps than smoke has
    grep -q '"verdict":.*"supported"' "$f"
    result $? "the claim of ${f#"$t/o/"} holds"
done
echo "1..$n"
