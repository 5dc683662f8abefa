# One of a thing is told in the singular: commands are given one of everything, and no output counts "1 rows".  TAP.
. tests/cli/tap
built=$(dirname "$VERNIER")/tests
if [ ! -x "$built/analysis/test_attend" ]; then echo "ok 1 - plural # SKIP $built/analysis/test_attend is not built"; exit 0; fi
mkdir "$t/m" && "$built/analysis/test_attend" "$t/m" >"$t/out" 2>"$t/err" || exit 1
# Words that end in s and are no plural, and those whose number is that of something before ("0 to 1 rows").
singular='is|has|was|does|this|less|class|bias|its|as|pass|across|loss|plus|minus'
# one PATTERN WORDS...: the output says what the pattern has, and nothing of "1 things" or "1 thing are"
one() {
    pattern=$1
    shift
    "$VERNIER" "$@" >"$t/out" 2>"$t/err" </dev/null
    cat "$t/out" "$t/err" | grep -Eq -- "$pattern"
    result $? "$*: $pattern"
    cat "$t/out" "$t/err" | grep -Eo '(^|[^0-9.,:/-])1 +([a-z-]+ )?[a-z-]+s( |,|;|$)|(^|[^0-9.,])1 +[a-z-]+ (are|have|were|do) ' |
        grep -Evw -- "1 +([a-z-]+ )?($singular)" >"$t/many"
    [ ! -s "$t/many" ]
    result $? "... in the singular $(head -n 1 "$t/many")"
}
gpt2=$t/m/gpt2 roberta=$t/m/roberta
three_commits && a_merge
one '^1 synthetic change in' data make changes --n 1 --out "$t/one.jsonl"
one ' 1  record in' data mine "$t/r" --range HEAD~1..HEAD --n 1 --keep merges --out "$t/mined.jsonl"
"$VERNIER" data make changes --n 60 --seed 3 --difficulty 0 --quiet --out "$t/c.jsonl" >"$t/out" 2>"$t/err"
one 'written to' tune --task jit --train "$t/c.jsonl" --method words --out "$t/words"
one '^1 commit is left out: merges' predict "$t/words" --repo "$t/r" v1..HEAD
one '^1 commit, ' predict "$t/words" "$t/one.jsonl"
one 'rows can be made from .* usable change' data make typ --from "$t/one.jsonl" --out "$t/typ.txt"
printf 'label,score\n1,0.5\n' >"$t/s.csv"
printf 'label,score,commit\n1,0.5,a\n0,0.1,b\n' >"$t/lines.csv"
echo 'fix it' >"$t/gold" && cp "$t/gold" "$t/said" && echo >"$t/empty"
one '1 row, 1 of class 1' score --task defect "$t/s.csv"
one '2 lines, 1 commit with a faulty one .1 without is left out' score --task lines "$t/lines.csv"
one ': 1 row, in %' score --task messages "$t/gold" "$t/said"
one '1 of the 1 predictions is empty' score --task messages "$t/gold" "$t/empty"
one 'has 1 line and' score --task messages "$t/gold" "$t/c.jsonl"
printf 'label,score\n1\n' >"$t/short.csv"
one '1 field, expected' score --task defect "$t/short.csv"
one '1 token of 1 byte; ' tokenize "$roberta" --text a --check
one 'contains 1 special token, .* reads it' tokenize "$roberta" --text '<s>'
one 'report' attend --model "$gpt2" --ids 1 --out "$t/o"
grep -q '1 query, 1 key' "$t/o/report.html"
result $? '... nor on the page'
echo 'int x' >"$t/text"
one 'by position' attend --compare "$roberta" --text 'int x' --texts "$t/text" --out "$t/c" "$t/m/tuned"
one '1 seed\)' toy e1 --preset smoke --seeds 1 --quiet --out "$t/e1"
printf '\070\0\0\0\0\0\0\0{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}  \0\0\0\0' >"$t/a.safetensors"
one '^1 tensor, 1 number, 4 bytes' model list "$t/a.safetensors"
one 'b.safetensors: 1 tensor$' model convert "$t/a.safetensors" "$t/b.safetensors"
echo "1..$n"
