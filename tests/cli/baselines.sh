# probes/baselines on files: the tables of defects, lines and messages, and scores of a published model beside them.
. tests/cli/tap
mkdir -p "$t/d/jit" "$t/d/cmg/mined"
"$VERNIER" data make changes --n 160 --seed 5 --quiet --out "$t/c.jsonl" >"$t/out" 2>"$t/err"
sed -n '1,100p' "$t/c.jsonl" >"$t/d/jit/valid.jsonl"
sed -n '101,160p' "$t/c.jsonl" >"$t/d/jit/test.jsonl"
cp "$t/d/jit/valid.jsonl" "$t/d/cmg/mined/java_train.jsonl"
cp "$t/d/jit/test.jsonl" "$t/d/cmg/mined/java_test.jsonl"
id=$(sed -n 's/.*"label": *1.*/&/p' "$t/d/jit/test.jsonl" | sed -n '1s/.*"id": *"\([^"]*\)".*/\1/p')
printf '{"id": "%s", "lines": [["a", 1, "int x = 0 ;"], ["a", 0, "return x ;"], ["d", 0, "x ++ ;"]]}\n' "$id" \
    >"$t/d/jit/test_lines.jsonl"
expect 0 '' 'runs on files' run probes/baselines --preset smoke --data "$t/d" --methods words,date --out "$t/r" --quiet
for row in 'Defects on 60 test commits' 'longest first' 'nearest change' 'most frequent message' 'published: CCT5'; do
    grep -q "$row" "$t/r/results.json"
    result $? "... and results.json has '$row'"
done
expect 2 'words is what' 'without words' run probes/baselines --preset smoke --methods la --out "$t/n"
echo "1..$n"
