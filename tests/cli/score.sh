# vernier score by hand: small files whose measures are known, and files that are wrong.  TAP on stdout.
. tests/cli/tap
ask() { "$VERNIER" score "$@"; }

printf 'id,buggy,p,q,la,ld\nx,0,.1,.2,1,0\ny,1,.9,.1,1,1\nz,0,.6,.3,3,0\nu,0,.1,.4,2,2\nv,1,.9,.5,10,0\n' >"$t/d.csv"
expect 0 '^recall at 20 % effort +0\.5000 ' 'recall at 20 % effort by hand' --task defect --label buggy --score p \
    --effort la+ld --draws 50 "$t/d.csv"
grep -Eq '^AUC +1\.0000 +1\.0000 to +1\.0000|^AUC +1\.0000 +n/a' "$t/out"
result $? '... and AUC'
printf 'label,score\n1,.9\n0,.2\n' >"$t/two.csv"
expect 0 'AUC has no value in [0-9]+ of 1000 samples' 'draws without both classes are counted' --task defect "$t/two.csv"
grep -Eq '^AUC +1\.0000 +1\.0000 to +1\.0000 ' "$t/out" && grep -Eq '^- average precision has no value in [0-9]+ of' "$t/out"
result $? '... and the interval is over the rest'
expect 0 '^AUC +1\.0000 +1\.0000 to ' 'draws within each class' --task defect --stratify "$t/two.csv"
grep -q 'draws' "$t/out"
[ $? = 1 ]
result $? '... all of which have both'
printf 'label,score\n1,.9\n' >"$t/1.csv"
expect 0 'no intervals: they need two rows' 'one row has no interval' --task defect "$t/1.csv"
expect 0 'no intervals: they need two samples' 'one draw makes no interval' --task defect --draws 1 "$t/two.csv"
printf 'label,score,effort\n0,.1,3\n0,.7,2\n' >"$t/0.csv"
expect 0 'AUC, average precision, recall at 20 % effort, effort at 20 % recall, Popt and IFA have no value: only class 0' \
    'no defect: the missing rows say why' --task defect "$t/0.csv"
grep -q '^- precision, recall, F1 and MCC are 0: no row is of class 1' "$t/out"
result $? '... and so do the zeros'
expect 0 '"remarks":.*"precision, recall, F1 and MCC are 0' '... in JSON, too' --task defect --json --draws 0 "$t/0.csv"
printf 'label,score,effort\n1,.1,3\n1,.7,3\n' >"$t/11.csv"
expect 0 'Popt has no value: the best order .* as good as the worst' 'no best order' --task defect "$t/11.csv"
printf 'label,score\n1,2\n0,.7\n' >"$t/b.csv"
expect 0 'Brier has no value: row 1 has score 2' 'scores that are no probabilities' --task defect "$t/b.csv"
printf 'label,score,other,effort\n1,2,-1,3\n0,-1,.5,9\n0,-3,.5,9\n' >"$t/z.csv"
expect 3 'row 2: score -1 is negative' 'negative scores over an effort' --task defect "$t/z.csv"
expect 3 'row 1: score -1 is negative' '... of the other system' --task defect --score effort --against other "$t/z.csv"
expect 0 '^Popt +1\.0000 ' '... but not logits' --task defect --logits --draws 0 "$t/z.csv"
expect 0 'Popt and IFA have no value: --effort none' '... nor without the effort' --task defect --effort none "$t/z.csv"
expect 0 'difference of Brier has no value: the other system' 'a difference that is none' --task defect --effort none \
    --score effort --score label --against other "$t/z.csv"
expect 0 '^AUC +1\.0000 +\+0\.5000' 'the difference from another column' --task defect --label buggy --score p \
    --effort la+ld --against q --draws 0 "$t/d.csv"
expect 0 "has no column 'effort'" 'without effort there are fewer measures, and that is said' --task defect \
    --label buggy --score p --draws 0 "$t/d.csv"
grep -q ^Popt "$t/out"
[ $? = 1 ]
result $? '... Popt is left out'
expect 0 '"name":	"Popt"' 'JSON' --task defect --label buggy --score p --effort la+ld --draws 0 --json "$t/d.csv"
printf '{"l": true, "s": {"p": 1}}\n{"l": false, "s": {"p": 0}}\n' >"$t/d.jsonl"
expect 0 '^F1 +1\.0000' 'JSON Lines with a path' --task defect --label l --score s.p --draws 0 "$t/d.jsonl"
expect 3 "no column is called 'label'; there are id, buggy" 'a missing column' --task defect "$t/d.csv"
expect 3 "d.jsonl:1: the record has no key 'label'; there are l, s.p" '... as a missing key' --task defect "$t/d.jsonl"
expect 3 "no key 'p'; there are s.p, l" '... the nearest first' --task defect --label l --score p "$t/d.jsonl"
expect 3 "no key 'la'; there are l, s.p" '... of effort' --task defect --label l --score s.p --effort la "$t/d.jsonl"
expect 3 "no key 'q'; there are l, s.p" '... to compare with' --task defect --label l --score s.p --against q "$t/d.jsonl"
expect 3 "no key 'commit'; there are l, s.p" '... of commits' --task lines --label l --score s.p "$t/d.jsonl"
expect 3 'row 1: label 0\.1, expected 0 or 1' 'labels that are none' --task defect --label p --score p "$t/d.csv"
expect 3 "no column is called 'cost'" 'a missing effort that was named' --task defect --label buggy --score p \
    --effort cost "$t/d.csv"

printf 'label,score,effort\n1,.5,3\n0,.4,x\n' >"$t/e.csv"
expect 3 ":3: 'x' in column 3" 'an effort that is no number' --task defect "$t/e.csv"
printf 'commit,label,score\n1,0,.9\n1,1,.8\n2,0,.5\n3,1,.1\n3,0,.2\n3,0,.3\n' >"$t/l.csv"
expect 0 '^IFA +1\.5000' 'lines by hand: one and two clean ones first' --task lines --draws 10 "$t/l.csv"
grep -q '2 commits with a faulty one (1 without' "$t/out"
result $? '... commits without a faulty line are left out'
printf 'commit,label,score\nf00,0,.9\nBob\047s,0,.5\n,0,.2\nf00,1,.8\n,0,.3\n,1,.1\n' >"$t/h.csv"
expect 0 '^IFA +1\.5000' 'rows of a commit need not be neighbours, nor commits be numbers' --task lines --draws 10 "$t/h.csv"
printf '{"commit": "f00", "label": 1, "score": 1}\n{"commit": 7, "label": 1, "score": 1}\n' >"$t/h.jsonl"
expect 0 '2 lines, 2 commits' '... in JSON Lines' --task lines --draws 0 "$t/h.jsonl"
printf 'commit,label,score\n1,0,.9\n' >"$t/c.csv"
expect 3 'no commit has a faulty line' 'nothing to find' --task lines "$t/c.csv"

printf 'fix the bug\nadd a test\n' >"$t/gold"
printf 'fix the bug\nremove a test\n' >"$t/pred"
printf 'fix the bug\n\n' >"$t/short"
expect 0 '^exact match +50\.0000 ' 'messages by hand' --task messages --draws 20 "$t/gold" "$t/pred"
grep -q 'METEOR 1.5 .*needs --meteor DIR' "$t/out"
result $? '... METEOR 1.5 needs its lists, as a remark states'
expect 0 '^ROUGE-L +83\.3333 +\+33\.3333' 'against another system' --task messages --draws 0 --against "$t/short" \
    "$t/gold" "$t/pred"
expect 0 '1 of the 2 predictions is empty: B-Norm counts 0 there \(100\.0000 in' 'an empty prediction is counted' \
    --task messages --draws 0 "$t/gold" "$t/short"
grep -Eq '^B-Norm +50\.0000 ' "$t/out"
result $? '... as 0'
printf 'fix the bug in it\n' >"$t/fix"
expect 0 'B-CC is above 100' 'a BLEU above 100 is remarked' --task messages --draws 0 "$t/fix" "$t/fix"
printf 'loss,tokens\n3,2\n5,2\n' >"$t/loss"
expect 0 '^perplexity +7\.3891' 'perplexity' --task messages --draws 0 --losses "$t/loss" "$t/gold" "$t/pred"
expect 0 '^perplexity +7\.3891 +[0-9.]+ to +[0-9.]+ ' '... with its interval' --task messages --losses "$t/loss" "$t/gold" "$t/pred"
expect 0 'difference of perplexity has no value' '... but no difference' --task messages --draws 9 --losses "$t/loss" \
    --against "$t/short" "$t/gold" "$t/pred"
printf 'one\n' >"$t/one"
expect 3 'has 2 lines and .* has 1' 'files of unequal length' --task messages "$t/gold" "$t/one"
expect 3 'is empty' 'an empty file' --task messages /dev/null /dev/null
expect 3 'nowhere' 'a folder that is not there' --task messages --meteor "$t/nowhere" "$t/gold" "$t/pred"
expect 3 'nowhere' 'WordNet that is not there' --task messages --wordnet "$t/nowhere" "$t/gold" "$t/pred"
expect 2 '--task is missing' 'no task' "$t/d.csv"
expect 2 'defect' 'an unknown task' --task x "$t/d.csv"
expect 2 'one FILE' 'two files of defects' --task defect "$t/d.csv" "$t/d.csv"
expect 2 'PRED' 'one file of messages' --task messages "$t/gold"

# any_order NAME FOLDER WORDS...: the scores of files in $t/FOLDER, their intervals and differences among them, are the
# same bytes for 20 other orders of the rows.  A line of names, as in *.csv, stays the first.
program=$(readlink -f "$VERNIER")
any_order() {
    name=$1 folder=$2 same=0 turned=$t/turned
    shift 2
    mkdir -p "$turned"
    (cd "$t/$folder" && "$program" score --json --draws 60 "$@") >"$t/out" 2>"$t/err" || same=1
    for seed in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        for file in "$t/$folder"/*; do
            head=0
            [ "$file" = "${file%.csv}" ] || head=1
            awk -v head=$head -v seed=$seed 'NR <= head {print 0, 0, $0; next}
                {seed = (seed * 16807 + 12345) % 2147483647; print 1, seed, $0}' "$file" | sort -n -k1,1 -k2,2 |
                cut -d' ' -f3- >"$turned/${file##*/}"
        done
        (cd "$turned" && "$program" score --json --draws 60 "$@") >"$t/other" 2>>"$t/err" &&
            cmp -s "$t/out" "$t/other" || same=1
    done
    result $same "$name: the same bytes in any order of the rows"
}
mkdir "$t/rows" "$t/lines" "$t/texts"
awk 'BEGIN {print "label,score,other,effort"; for (i = 0; i < 60; i++) printf "%d,%.17g,%.2f,%.17g\n", i % 7 % 3 == 1,
    int(i * 37 % 11) / 11, i * 53 % 100 / 100, 0.1 * (i * i % 41)}' >"$t/rows/d.csv"
any_order 'defects' rows --task defect d.csv
any_order 'defects within classes' rows --task defect --stratify --effort none --against other d.csv
any_order 'defects by logits' rows --task defect --logits --against other d.csv
awk 'BEGIN {print "label,commit,score,other"; for (i = 0; i < 90; i++) printf "%d,c%d,%.17g,%.2f\n", i * i % 11 == 4,
    i * 7 % 10, i * 37 % 13 / 13, i * 53 % 100 / 100}' >"$t/lines/l.csv"
any_order 'lines' lines --task lines l.csv
any_order 'lines of two systems' lines --task lines --against other l.csv
awk 'BEGIN {print "loss,tokens"; for (i = 0; i < 40; i++) printf "%.17g,%d\n", i * 7 % 31 / 3, 1 + i % 5}' >"$t/texts/n.csv"
for file in gold pred else; do
    awk -v of=$file 'BEGIN {split("fix add the a test bug in parser of null", w, " "); s = length(of of of) + (of == "gold")
        for (i = 0; i < 40; i++) {line = ""; for (j = 0; j <= (i * s) % 6; j++) line = line w[1 + (i * i + s * j) % 10] " "
            print line}}' >"$t/texts/$file"
done
any_order 'messages' texts --task messages gold pred
any_order 'messages of two systems' texts --task messages --losses n.csv --against else gold pred
echo "1..$n"
