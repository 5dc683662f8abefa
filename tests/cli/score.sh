# vernier score by hand: small files whose measures are known, and files that are wrong.  TAP on stdout.
. tests/cli/tap
ask() { "$VERNIER" score "$@"; }

printf 'id,buggy,p,q,la,ld\nx,0,.1,.2,1,0\ny,1,.9,.1,1,1\nz,0,.6,.3,3,0\nu,0,.1,.4,2,2\nv,1,.9,.5,10,0\n' >"$t/d.csv"
expect 0 '^recall at 20 % effort +0\.5000 ' 'recall at 20 % effort by hand' --task defect --label buggy --score p \
    --effort la+ld --draws 50 "$t/d.csv"
grep -Eq '^AUC +1\.0000 +1\.0000 to +1\.0000|^AUC +1\.0000 +n/a' "$t/out"
result $? '... and AUC'
printf 'label,score\n1,.9\n0,.2\n' >"$t/two.csv"
expect 0 '^AUC +1\.0000 +n/a ' 'an interval that no draw gives is not a number' --task defect "$t/two.csv"
expect 0 '^AUC +1\.0000 +\+0\.5000' 'the difference from another column' --task defect --label buggy --score p \
    --effort la+ld --against q --draws 0 "$t/d.csv"
expect 0 "has no column 'effort'" 'without effort there are fewer measures, and that is said' --task defect \
    --label buggy --score p --draws 0 "$t/d.csv"
grep -q Popt "$t/out"
[ $? = 1 ]
result $? '... Popt is left out'
expect 0 '"name":	"Popt"' 'JSON' --task defect --label buggy --score p --effort la+ld --draws 0 --json "$t/d.csv"
printf '{"l": true, "s": {"p": 1}}\n{"l": false, "s": {"p": 0}}\n' >"$t/d.jsonl"
expect 0 '^F1 +1\.0000' 'JSON Lines with a path' --task defect --label l --score s.p --draws 0 "$t/d.jsonl"
expect 3 "no column is called 'label'; there are id, buggy" 'a missing column' --task defect "$t/d.csv"
expect 3 'row 1: label 0\.1, expected 0 or 1' 'labels that are none' --task defect --label p --score p "$t/d.csv"
expect 3 "no column is called 'cost'" 'a missing effort that was named' --task defect --label buggy --score p \
    --effort cost "$t/d.csv"

printf 'label,score,effort\n1,.5,3\n0,.4,x\n' >"$t/e.csv"
expect 3 ":3: 'x' in column 3" 'an effort that is no number' --task defect "$t/e.csv"
printf 'commit,label,score\n1,0,.9\n1,1,.8\n2,0,.5\n3,1,.1\n3,0,.2\n3,0,.3\n' >"$t/l.csv"
expect 0 '^IFA +1\.5000' 'lines by hand: one and two clean ones first' --task lines --draws 10 "$t/l.csv"
grep -q '2 commits with a faulty one (1 without' "$t/out"
result $? '... commits without a faulty line are left out'
printf 'commit,label,score\n1,0,.9\n' >"$t/c.csv"
expect 3 'no commit has a faulty line' 'nothing to find' --task lines "$t/c.csv"

printf 'fix the bug\nadd a test\n' >"$t/gold"
printf 'fix the bug\nremove a test\n' >"$t/pred"
printf 'fix the bug\n\n' >"$t/short"
expect 0 '^exact match +50\.0000 ' 'messages by hand' --task messages --draws 20 "$t/gold" "$t/pred"
grep -q 'METEOR 1.5 is left out' "$t/out"
result $? '... METEOR 1.5 needs its lists, and that is said'
expect 0 '^ROUGE-L +83\.3333 +\+33\.3333' 'against another system' --task messages --draws 0 --against "$t/short" \
    "$t/gold" "$t/pred"
expect 0 '1 empty prediction' 'an empty prediction is counted' --task messages --draws 0 "$t/gold" "$t/short"
printf 'loss,tokens\n3,2\n5,2\n' >"$t/loss"
expect 0 '^perplexity +7\.3891' 'perplexity' --task messages --draws 0 --losses "$t/loss" "$t/gold" "$t/pred"
printf 'one\n' >"$t/one"
expect 3 'has 2 lines and .* has 1' 'files of unequal length' --task messages "$t/gold" "$t/one"
expect 3 'is empty' 'an empty file' --task messages /dev/null /dev/null
expect 3 'nowhere' 'a folder that is not there' --task messages --meteor "$t/nowhere" "$t/gold" "$t/pred"
expect 3 'nowhere' 'WordNet that is not there' --task messages --wordnet "$t/nowhere" "$t/gold" "$t/pred"
expect 2 '--task is needed' 'no task' "$t/d.csv"
expect 2 'defect' 'an unknown task' --task x "$t/d.csv"
expect 2 'one FILE' 'two files of defects' --task defect "$t/d.csv" "$t/d.csv"
expect 2 'PRED' 'one file of messages' --task messages "$t/gold"
echo "1..$n"
