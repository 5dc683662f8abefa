# The document of runs: Markdown and LaTeX, from the files of a run alone; and the glossary of the page.  TAP on stdout.
. tests/cli/tap

expect 0 'results' 'a run' run theory/prefix-bias --preset smoke --seeds 2 --quiet --out "$t/run"
expect 0 'study.tex' 'its document' report --paper --title 'A | B_c' --out "$t/study.md" "$t/run"
grep -q '^# A | B\\_c$' "$t/study.md" && grep -q '^\*\*Result: supported\.\*\*' "$t/study.md"
result $? '... has title and verdict'
[ "$(grep -c '^\*Table' "$t/study.md")" = "$(grep -c '^% Table [0-9]' "$t/study.tex")" ] &&
    [ "$(grep -c '^.begin{tabular}' "$t/study.tex")" = "$(grep -c '^.end{tabular}' "$t/study.tex")" ]
result $? '... has the same tables in both forms'
missing=$(sed -n 's/^!\[.*(<\(.*\)>)$/\1/p' "$t/study.md" | while read -r f; do [ -f "$t/$f" ] || echo "$f"; done)
[ -z "$missing" ] && grep -q '^!\[Figure 1\]' "$t/study.md"
result $? "... leads to its figures $missing"
cp "$t/study.md" "$t/first.md"
expect 0 '' 'the document again' report --paper --overwrite --title 'A | B_c' --out "$t/study.md" "$t/run"
cmp -s "$t/first.md" "$t/study.md"
result $? '... is the same bytes'
cp -r "$t/run" "$t/marked" && sed -i 's/\("sentence":[^"]*"\)/\1<mask> *x* | seeds\/x /' "$t/marked/results.json"
expect 0 '' 'a result with marks of the languages' report --paper --out "$t/marked.md" "$t/marked"
grep -qF '| \<mask> \*x\* \| ' "$t/marked.md" && grep -qF '& $<$mask$>$ *x* | ' "$t/marked.tex"
result $? '... has them as text'
expect 0 '' 'its page' report --out "$t/marked.html" "$t/marked"
grep -q '>seeds</a>' "$t/marked.html" && ! grep -q 'seeds*</a>s*/x' "$t/marked.html"
result $? '... marks terms with their plural, and none within a name'
expect 2 'end it in .md' 'a name that the tables need' report --paper --out "$t/study.tex" "$t/run"
expect 3 'no run directory' 'no run' report --paper --out "$t/none.md" "$t/none"
[ ! -e "$t/none.md" ] && [ ! -e "$t/none.tex" ]
result $? '... leaves nothing'

expect 0 'page.html' 'the page' report --out "$t/page.html" "$t/run"
links=$(grep -o 'href="#term[0-9]*"' "$t/page.html" | sort | uniq -d)
terms=$(grep -o '<dt id="term[0-9]*"' "$t/page.html" | grep -o '[0-9]*' | sort)
[ -z "$links" ] && [ -n "$terms" ] && [ "$terms" = "$(grep -o 'href="#term[0-9]*"' "$t/page.html" | grep -o '[0-9]*' | sort)" ]
result $? '... explains each term that it uses, once'
echo "1..$n"
