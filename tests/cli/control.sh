# Text from files, names and options is shown, never obeyed: no command prints their control characters or marks of
# direction, on the terminal, in a page or in JSON.  And text files as other programs write them.  TAP on stdout.
. tests/cli/tap
esc=$(printf '\033') over=$(printf '\342\200\256')
hard="a${esc}[31mb$(printf '\001\177\302\233\377')${over}c"
bad="$(printf '[\001-\010\013-\037\177]')|$(printf '\302')[$(printf '\200-\237')]|$(printf '\342\200[\216\217\250-\256]|\342\201[\246-\251]')"
clean() { # NAME: of the last command's output, which must be UTF-8 as well
    cat "$t/out" "$t/err" >"$t/both"
    ! LC_ALL=C grep -Eq "$bad" "$t/both" && iconv -f UTF-8 -t UTF-8 "$t/both" >"$t/null" 2>&1
    result $? "... $1"
}
shown() { # CODE PATTERN NAME WORDS...
    expect "$@"
    clean 'as it is shown'
}

# The command line.
shown 2 'a.x1B\[31mb.x01.x7F.u\{9B\}.xFF.u\{202E\}c' 'a command' "$hard"
shown 2 'unknown option' 'an option' list "--$hard"
shown 2 'x1B' "an option's value" list --threads "$hard"
shown 2 'x1B' 'a setting' run toy/mechanism --set "$hard=1"
shown 3 'u\{202E\}' 'a path' model inspect "$t/$hard"
shown 3 'x0A' 'a path of two lines' model list "$t/a
b"
[ "$(wc -l <"$t/err")" = 1 ]
result $? '... in one line'

# The contents of files: tensors, their dtype, columns, probing files, changes, an adapter.
safetensors() { # FILE HEADER BYTES
    size=$(printf %s "$2" | wc -c)
    { printf "\\$(printf %o "$size")\\0\\0\\0\\0\\0\\0\\0"; printf %s "$2"; head -c "$3" /dev/zero; } >"$1"
}
safetensors "$t/x.safetensors" "{\"a\\u001b[31m${over}b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}" 4
safetensors "$t/y.safetensors" '{"c\u009b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}' 4
safetensors "$t/z.safetensors" '{"c":{"dtype":"F\u001b2","shape":[1],"data_offsets":[0,4]}}' 4
shown 0 'a.x1B\[31m.u\{202E\}b' "a tensor's name, listed" model list "$t/x.safetensors"
shown 0 'x1B' '... inspected' model inspect "$t/x.safetensors"
shown 0 'x1B' '... compared' model compare "$t/x.safetensors" "$t/y.safetensors"
shown 3 'F.x1B2' 'a dtype' model list "$t/z.safetensors"
printf 'la%s[31m,label\n1,1\n' "$esc" >"$t/c.csv"
shown 3 'there are la.x1B\[31m, label' 'the names of columns' score --task defect "$t/c.csv"
printf 'tr\t%s\tx\ntr\tb\ty\n' "$esc]0;x" >"$t/p.txt"
shown 3 'x1B\]0;x' 'a label' data sheet --task ltp "$t/p.txt"

"$VERNIER" data make changes --n 60 --seed 3 --difficulty 0 --quiet --out "$t/c.jsonl" >"$t/out" 2>"$t/err" &&
    "$VERNIER" tune --task jit --train "$t/c.jsonl" --method words --quiet --out "$t/w" >"$t/out" 2>"$t/err"
result $? 'a predictor'
row='{"repo": "r%s", "id": "i\\u001b[31m%s", "message": "m\\u009b\\u202e%s\\u0000n", "files": [{"new": "A.java", "lines": ["+int\\ta\\u001b;"]}], "label": 1}\n'
printf "$row" "$over" "$over" "$over" >"$t/f.jsonl"
shown 0 'i.x1B\[31m' 'commits, in a table' predict "$t/w" "$t/f.jsonl" --lines 3
shown 0 'u001b\[31m' '... in JSON' predict "$t/w" "$t/f.jsonl" --json
shown 0 'i.x1B\[31m' '... as CSV' predict "$t/w" "$t/f.jsonl" --csv

# Pages.
maker=$(dirname "$VERNIER")/tests/analysis/test_attend
if [ -x "$maker" ]; then
    mkdir "$t/m" && "$maker" "$t/m" >"$t/out"
    cp -r "$t/m/roberta" "$t/m/e${esc}[31m${over}"
    printf 'int a%s ;\n%sb\n' "$esc" "$over" >"$t/texts"
    shown 0 . 'a model by its name, on texts' attend --model "$t/m/e${esc}[31m${over}" --texts "$t/texts" --quiet \
        --out "$t/o" --html "$t/o.html" --format svg
    shown 0 . '... in JSON' attend --overwrite --model "$t/m/e${esc}[31m${over}" --texts "$t/texts" --json --quiet --out "$t/o"
    ! LC_ALL=C grep -Eq "$bad" "$t/o/report.html" && ! LC_ALL=C grep -Eq "$bad" "$t/o.html" &&
        grep -q 'x1B' "$t/o/report.html" && grep -q 'x1B' "$t/o.html"
    result $? '... in pages'
else
    result 0 "pages # SKIP $maker is not built"
fi

# The same numbers from the same table, whatever program wrote it.
printf 'label,score\n1,.9\n0,.1\n1,.5\n0,.7\n' >"$t/s.csv"
ask score --task defect "$t/s.csv" --json --draws 0 >"$t/want" 2>"$t/err"
same() { # NAME: $t/o.csv says what $t/s.csv says
    cp "$t/o.csv" "$t/o" && mv "$t/s.csv" "$t/s" && mv "$t/o.csv" "$t/s.csv"
    ask score --task defect "$t/s.csv" --json --draws 0 >"$t/out" 2>"$t/err" && cmp -s "$t/want" "$t/out"
    result $? "$1"
    mv "$t/s" "$t/s.csv"
}
printf '\357\273\277' | cat - "$t/s.csv" >"$t/o.csv" && same 'a mark of byte order'
sed 's/$/\r/' "$t/s.csv" >"$t/o.csv" && same 'lines with carriage returns'
{ cat "$t/s.csv"; printf '\n \n'; } >"$t/o.csv" && same 'blank lines at the end'
printf 'label,score\n1,.9\n0,.1\n1,.5\n0,.7' >"$t/o.csv" && same 'a last line without an end'
printf '[{"label":1,"score":0.9},{"label":0,"score":0.1},\n{"label":1,"score":0.5},{"label":0,"score":0.7}]' >"$t/o.csv" && same 'a JSON array'
for wide in UTF-16 UTF-32; do
    iconv -f UTF-8 -t $wide "$t/s.csv" >"$t/o.csv"
    expect 3 "$wide text, expected UTF-8" "$wide" score --task defect "$t/o.csv"
    expect 3 "$wide text, expected UTF-8" '... as a probing file' data sheet --task typ "$t/o.csv"
    expect 3 "$wide text, expected UTF-8" '... as changes' predict "$t/w" "$t/o.csv"
    expect 3 "$wide text, expected UTF-8" '... as messages' score --task messages "$t/o.csv" "$t/o.csv"
done
printf 'label,score\n1,.9\n0,\351\n' >"$t/o.csv"
expect 3 ':3: byte 3 of the line, 0xE9, is not UTF-8' 'a byte that is no UTF-8' score --task defect "$t/o.csv"
printf 'label,score\n1,.9\n0,\0\n' >"$t/o.csv"
expect 3 ':3: byte 3 of the line is zero' 'a zero byte' score --task defect "$t/o.csv"
echo "1..$n"
