# Options from files (--config), and the file of options that a command leaves, which makes the same result again.
. tests/cli/tap

cd_file() { printf '%s\n' "$@" >"$t/c"; }
same() { # NAME: what two commands wrote is the same, times left out
    diff -r -x manifest.json -x 'timings*' -x results.csv "$t/a" "$t/b" >"$t/out" 2>&1
    result $? "$1"
}
ask data make changes --n 60 --quiet --out "$t/c.jsonl"
cd_file '# a small model' 'command: tune' 'task: jit' "train: $t/c.jsonl" \
    'encoder: [layers=1, dim=32, heads=2, hidden=64, vocab=400, length=64, steps=5]' 'epochs: 1' 'batch: 16' \
    'evaluations: 1' 'quiet: true' 'json: no' 'seed: ~'
expect 3 'option --json takes no value' 'a switch that is neither true nor false' tune --config "$t/c" --out "$t/a"
sed -i '/^json/d' "$t/c"
expect 0 'written to' 'options of YAML' tune --config "$t/c" --out "$t/a"
expect 0 'written to' 'the options it left' tune --config "$t/a/options.json" --quiet --out "$t/b"
same 'they make the same result'
rm -r "$t/b"
expect 0 'written to' 'the command line wins' tune --config "$t/a/options.json" --epochs 2 --quiet --out "$t/b"
grep -q '"epochs":.2' "$t/b/options.json" && ! grep -q '(2)' "$t/b/manifest.json"
result $? 'and its value is the one that is written down'
expect 0 '' 'an experiment' run toy/alpha --preset smoke --set rates=1,2 --quiet --out "$t/a" --overwrite
rm -r "$t/b"
expect 0 '' 'from its options, experiment and all' run --config "$t/a/options.json" --quiet --out "$t/b"
same 'gives the same results'

refused() { # NAME PATTERN LINES...: exit 3, and the message begins with the path
    name=$1 pattern=$2
    shift 2
    cd_file "$@"
    expect 3 "^vernier: $t/c:$pattern" "$name" run --config "$t/c"
}
rm -r "$t/a"
refused 'a map as a value' ' line 2: threads is no value' 'seeds: 2' 'threads: {a: 1}'
refused 'a list of lists' ' line 1: a list in which an item is no value' 'seeds: [1, [2]]'
refused 'no map at all' ' line 1: no options' '- toy/alpha'
refused 'a quote that never ends' ' line [0-9]+: ' 'preset: "smoke'
refused 'an object in JSON' ' seeds is an object' '{"seeds": {"a": 1}}'
refused 'broken JSON' '1:12: ' '{"seeds": 1'
refused 'one key twice' ' seeds is given twice' '{"seeds": 1, "seeds": 2}'
refused 'no text' ' is UTF-16' "$(printf '\377\376')"
cd_file 'epoch: 3'
expect 3 "$t/c: unknown option --epoch; did you mean --epochs" 'a key that is no option' tune --config "$t/c"
cd_file 'command: tune'
expect 2 'is of `vernier tune`, not of `vernier run`' 'options of another command' run --config "$t/c"
expect 3 'No such file' 'a file that is not there' run --config "$t/none"
cd_file '' '# nothing but this'
expect 2 '0 operands' 'an empty file' run --config "$t/c"
cd_file 'arch: roberta' 'set: [layers=1, dim=48]'
expect 0 '48' 'an option that may be repeated, once for each item' model inspect --config "$t/c"
echo "1..$n"
