# vernier runs and vernier compare: runs are found, filtered, shown, compared on the same seeds and examples, and removed by
# their manifests alone.  TAP on stdout.
. tests/cli/tap
program=$PWD/$VERNIER
case $VERNIER in /*) program=$VERNIER ;; esac
cd "$t" || exit 1
ask() { "$program" "$@"; }
said() { # NAME PATTERN...: in the output of the last command
    name=$1
    shift
    for pattern in "$@"; do grep -Eq -- "$pattern" out || { echo "# no $pattern"; false; } || break; done
    result $? "$name"
}
"$program" data make changes --n 240 --seed 3 --difficulty 0 --quiet --out c.jsonl >out 2>err
small=layers=1,dim=32,heads=2,hidden=64,vocab=400,length=64,steps=2
expect 0 '' "an option by a library's name" tune --task jit --train c.jsonl --method words --output_dir runs/words --quiet
expect 0 '' 'another baseline' tune --task jit --train c.jsonl --method date --out runs/la --quiet
expect 0 '' 'a network' tune --task jit --train_file c.jsonl --encoder $small --num_train_epochs 1 --learning_rate 1e-3 \
    --per_device_train_batch_size 16 --out runs/net --quiet
grep -q '"learning-rate":."1e-3"' runs/net/options.json && grep -q '"epochs":.1' runs/net/options.json &&
    grep -q '"batch":.16' runs/net/options.json
result $? "... options of libraries are kept under this program's names"
[ -s runs/net/metrics.csv ] && [ -s runs/net/trainer_state.json ] && [ "$(wc -l <runs/net/validation.jsonl)" = 48 ] &&
    [ ! -e runs/net/tensorboard ]
result $? '... and its logs lie beside the result'
ask tokenize runs/net/encoder --text 'int a' >out1 2>err && ask tokenize --text 'int a' --model runs/net/encoder >out2 2>err &&
    ask model inspect --model runs/net/encoder >out 2>err && [ -s out1 ] && cmp -s out1 out2
result $? 'a model may be named as an operand or by --model'
for seeds in '' '--lr 3e-3'; do
    # shellcheck disable=SC2086
    "$program" toy alpha --preset smoke --seeds 2 --tasks asc $seeds --quiet >out 2>err
done
expect 0 'runs/words' 'the runs here' runs
said '... are all there, with what differs and a metric' '^runs/toy/alpha/[0-9a-f]{8} .*lr=0.00[23]' \
    '^runs/words .*tune/jit +done +validation: f1 0.9.*method=words'
[ "$(wc -l <out)" = 6 ] # a link to one of them is no run of its own
result $? '... and once each'
expect 0 '' 'a metric as condition' runs list runs --where 'f1>0.5'
[ "$(wc -l <out)" = 2 ]
result $? '... leaves one'
expect 0 '' 'two conditions' runs list --where method!=words --where 'experiment=tune/*' --format csv
[ "$(wc -l <out)" = 3 ] && head -n 1 out | grep -q '^dir,experiment,status,verdict,.*validation: f1'
result $? '... and the table with all settings and metrics'
expect 0 '' 'sorted' runs --where 'command=tune' --sort -auc --show auc
sed -n 2p out | grep -q '^runs/words'
result $? '... with the best first'
expect 0 'no run meets the conditions' 'no run at all' runs --where seed=99
expect 2 'no run has a setting or one metric called methd; did you mean method' 'a key that no run has' runs --where methd=words
expect 2 'expected KEY=VALUE' 'no condition' runs --where method
expect 2 -- '--sort is for list' 'an option of another subcommand' runs remove x --sort f1
expect 3 'no run directory' 'no runs below a directory' runs c.jsonl
expect 0 'again +vernier tune --config runs/net/options.json' 'one run' runs show runs/net
said '... with its settings and metrics' '^  learning-rate +0.001$' '^  train +c.jsonl \([0-9a-f]{8}\)$' '^  validation: f1 '

expect 0 'f1 of B is higher than that of A' 'two tunings' compare runs/la runs/words
said '... by what differs, with paired tests on the same examples' '^  method +date +words' \
    '^  validation: f1 +B - A .* 48 +examples$' '^  validation: auc .*\[.*\].*\['
printf 'text,label\n' >own.csv
for i in 1 2 3 4 5 6 7 8 9; do printf 'int a%s;,c\nx = %s,py\nlet x%s,js\n' $i $i $i >>own.csv; done
for epochs in 1 2; do
    "$program" tune --task classify --train own.csv --text-column text --label-column label --model runs/net/encoder \
        --epochs $epochs --quiet --out own/$epochs >out 2>err || cat err
done
expect 0 '^  validation: macro_f1 +B - A .* examples$' "classes of one's own" compare own
expect 0 'over seeds' 'two runs of an experiment' compare runs/toy/alpha
said '... by the setting, with paired tests over the same seeds' '^  lr +0.00[23] +0.00[23]$' ' 2 +seeds$' '^  time \(s\)'
expect 0 '^table.tex$' 'a LaTeX table' compare runs/la runs/words --metric f1 --out table.tex
grep -q '^validation: f1 & [0-9.]* \[.*\] & [0-9.]* \[.*\] \\\\$' table.tex && [ "$(grep -c toprule table.tex)" = 5 ]
result $? '... of booktabs'
expect 0 '^page.html$' 'a page' compare runs/la runs/words --out page.html
grep -q '<table' page.html && grep -q 'Settings that differ' page.html
result $? '... with the tables'
expect 0 '^runs/la,tune/jit,validation: f1,.*,1,date$' 'CSV' compare runs/la runs/words --format csv
expect 0 '^\| method \| date \| words \|$' 'Markdown' compare runs/la runs/words --format markdown
expect 0 '"p_holm"' 'JSON' compare runs/la runs/words --json
expect 2 'needs --out FILE' 'a page on the terminal' compare runs/la runs/words --format html
expect 2 'expected two or more' 'one run' compare runs/la
expect 2 'is given twice' 'the same run twice' compare runs/la runs/la
expect 2 'did you mean validation: f1' 'a metric that no run has' compare runs/la runs/words --metric 'validation: f2'
expect 0 'share neither' 'runs of different kinds' compare runs/la runs/toy/alpha/latest
sed 's/"id":/"id": 3,/' runs/la/validation.jsonl | head -n 3 >half && cp -r runs/la broken && cp half broken/validation.jsonl
echo '{"id": ' >>broken/validation.jsonl
expect 3 'broken/validation.jsonl:[0-9]' 'examples that are no JSON' compare runs/la broken
expect 0 'r.html' 'a report of both' report runs/toy/alpha --out r.html
grep -q '<h2[^>]*>toy/alpha.*(lr=0.003' r.html && grep -q 'settings that differ' r.html
result $? '... tells them apart by what differs'

links() { # PAGE: its relative links, each of which leads to a file
    grep -o 'href="[^"#]*"' "$1" | sed 's/^href="//; s/"$//' >links && [ -s links ] || return 1
    while read -r link; do [ -e "$(dirname "$1")/$link" ] || { echo "# $link" && return 1; }; done <links
}
links r.html && grep -q 'figures/.*\.pdf' links
result $? '... and leads to data and figures'
expect 0 '' 'a page in a run directory' report runs/toy/alpha/latest --out runs/toy/alpha/latest/report.html
links runs/toy/alpha/latest/report.html
result $? '... leads to its own'
mkdir -p 'pages here' && expect 0 '' 'a page elsewhere' report runs/net --out 'pages here/r.html'
links 'pages here/r.html' && grep -q '^\.\./runs/net/validation.jsonl$' links
result $? '... leads back to them'
rm runs/toy/alpha/latest/report.html

echo mine >runs/la/notes.txt
expect 0 'other files are in it and stay' 'a run is removed' runs remove runs/la/
[ "$(ls -A runs/la)" = notes.txt ]
result $? '... but for the files that its manifest does not list'
one=$(readlink runs/toy/alpha/latest)
expect 0 "^runs/toy/alpha/$one$" 'what would be removed' runs remove "runs/toy/alpha/$one" --dry-run
[ -d "runs/toy/alpha/$one" ]
result $? '... stays'
expect 0 "files removed" 'the newest run' runs remove "runs/toy/alpha/$one"
[ ! -e "runs/toy/alpha/$one" ] && [ ! -L runs/toy/alpha/latest ] && [ "$(ls runs/toy/alpha | wc -l)" = 1 ]
result $? '... goes with the link to it'
expect 3 'expected a run directory' 'no run' runs remove c.jsonl
mkdir -p other && echo '{"a": 1}' >other/manifest.json
expect 3 'other/manifest.json' "a manifest of another program's" runs remove other
[ -s other/manifest.json ]
result $? '... stays'
mkdir -p evil/x && printf '{"tool":{"version":"1"},"command":"tune","status":"done","settings":{},"files":["../other/manifest.json"]}' >evil/x/manifest.json
expect 3 'is not a path in its directory' 'a manifest that names files elsewhere' runs remove evil/x
[ -s other/manifest.json ]
result $? '... removes none'
cp -r runs/words runs/cut && mkdir runs/cut/unfinished && mv runs/cut/manifest.json runs/cut/results.json runs/cut/unfinished/
expect 0 '^runs/cut$' 'unfinished work is found' runs prune --dry-run
expect 0 'runs/cut: 2 files removed' '... and removed' runs prune
[ ! -e runs/cut/unfinished ] && [ -s runs/words/results.json ]
result $? '... without anything else'
expect 0 'runs/words: ' 'finished runs by a condition' runs prune --where method=words
[ ! -e runs/words ] && [ -d runs/net ]
result $? '... are removed, and others stay'
expect 0 'nothing to remove' 'nothing is left' runs prune
echo "1..$n"
