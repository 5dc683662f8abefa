#!/bin/sh
# How cost grows: tables with fitted exponents in Markdown, for docs/growth.md.  Each size runs in a process of its own.
#
#     tests/bench/growth.sh [PART...]         of: model mine score messages probe report start; default: all
#
# GROWTH_SCALE=10 makes the largest histories, tables and reports ten times as large as without: those of the document.
: "${VERNIER:=build/release/vernier}"
: "${GROWTH:=build/release/tests/bench/growth}"
: "${GROWTH_SCALE:=1}"
t=$(mktemp -d) || exit 1
trap 'rm -rf "$t"' EXIT
command -v git >/dev/null || { echo "growth.sh needs git"; exit 1; }

steps() { # AXIS SIZE...
    axis=$1
    shift
    for n in "$@"; do "$GROWTH" step "$axis" "$n"; done | "$GROWTH" fit "$axis"
}

model() {
    steps tokens 64 128 256 512 1024 2048 4096
    steps layers 1 2 4 8 16
    steps width 128 256 512 1024
    steps batch 1 2 4 8 16 32
    steps vocabulary 1024 4096 16384 65536
}

sizes() { # SIZE...: and the last ten times as large, if the scale is
    printf '%s ' "$@"
    for last in "$@"; do :; done
    [ "$GROWTH_SCALE" -lt 10 ] || printf '%s ' $((last * 10))
}

mine() {
    for n in $(sizes 1000 3000 10000); do
        git init -q --bare "$t/h"
        awk -v commits="$n" -f tests/bench/history.awk | git -C "$t/h" fast-import --quiet
        "$GROWTH" run "$n" "$VERNIER" data mine "$t/h" --range main --features --quiet --out "$t/mined.jsonl" --overwrite
        rm -rf "$t/h"
    done | "$GROWTH" fit 'commits mined'
}

score() {
    for n in $(sizes 1000 10000 100000); do
        awk -v n="$n" 'BEGIN {
            srand(1)
            print "label,score,effort"
            for (i = 0; i < n; i++) print (rand() < .2) "," int(rand() * 1000) / 1000 "," int(rand() * 500)
        }' >"$t/d.csv"
        "$GROWTH" run "$n" "$VERNIER" score --task defect --bootstrap-samples 100 --quiet "$t/d.csv"
    done | "$GROWTH" fit 'rows scored, 100 bootstrap samples'
}

words() { # SEED ROWS WORDS
    awk -v seed="$1" -v rows="$2" -v words="$3" 'BEGIN {
        srand(seed)
        for (i = 0; i < rows; i++) {
            s = ""
            for (j = 0; j < words; j++) s = s " w" int(rand() * 500)
            print s
        }
    }'
}

messages() {
    for n in $(sizes 100 1000 10000); do
        words 1 "$n" 10 >"$t/gold.txt"
        words 2 "$n" 10 >"$t/pred.txt"
        "$GROWTH" run "$n" "$VERNIER" score --task messages --bootstrap-samples 100 --quiet "$t/gold.txt" "$t/pred.txt"
    done | "$GROWTH" fit 'messages scored, 100 bootstrap samples'
    for n in 1000 4000 16000 64000; do
        words 1 1 "$n" >"$t/gold.txt"
        words 2 1 "$n" >"$t/pred.txt"
        "$GROWTH" run "$n" "$VERNIER" score --task messages --bootstrap-samples 0 --quiet "$t/gold.txt" "$t/pred.txt"
    done | "$GROWTH" fit 'words of one message'
    [ -z "$METEOR" ] || for n in 50 100 200 400; do
        words 1 100 "$n" >"$t/gold.txt"
        words 2 100 "$n" >"$t/pred.txt"
        "$GROWTH" run "$n" "$VERNIER" score --task messages --meteor "$METEOR" --bootstrap-samples 0 --quiet \
            "$t/gold.txt" "$t/pred.txt"
    done | "$GROWTH" fit 'words of 100 messages, with METEOR'
}

# A random encoder of two layers, made on the way.
probe() {
    "$VERNIER" data make changes --n 60 --seed 3 --quiet --out "$t/c.jsonl" >/dev/null
    "$VERNIER" tune --task jit --train "$t/c.jsonl" --epochs 1 --max-length 64 --quiet --out "$t/base" \
        --encoder layers=2,dim=64,heads=2,hidden=128,vocab=400,steps=1,length=64 >/dev/null || return
    for n in 300 600 1200 2400; do
        "$VERNIER" data make ccm --sizes "$n,$((n / 3)),$((n / 3))" --quiet --out "$t/ccm-$n.txt" >/dev/null || return
        "$GROWTH" run "$n" "$VERNIER" probe --task ccm --data "$t/ccm-$n.txt" --model "$t/base/encoder" --seeds 1 \
            --quiet --out "$t/probe-$n"
    done | "$GROWTH" fit 'rows probed'
}

report() {
    "$VERNIER" run toy/e1 --preset smoke --seeds 1 --quiet --out "$t/one" >/dev/null || return
    for n in $(sizes 10 30 100); do
        mkdir "$t/runs"
        i=0
        while [ $i -lt "$n" ]; do
            cp -r "$t/one" "$t/runs/$i"
            i=$((i + 1))
        done
        "$GROWTH" run "$n" "$VERNIER" report "$t/runs" --out "$t/report.html" --quiet --overwrite
        rm -rf "$t/runs"
    done | "$GROWTH" fit 'runs reported'
}

# The start of each command, as --help has it: the best of five.
start() {
    printf '| command | milliseconds |\n|---|---|\n'
    for c in list theory run probe attend tune predict generate fill embed tokenize score report bench \
        'data mine' 'data make' 'model inspect' 'adapter merge'; do
        for _ in 1 2 3 4 5; do
            # shellcheck disable=SC2086
            "$GROWTH" run 1 "$VERNIER" $c --help
        done | sort -k 2 | awk -v c="$c" 'NR == 1 { printf "| %s | %.0f |\n", c, 1000 * $2 }'
    done
}

[ $# -gt 0 ] || set -- model mine score messages probe report start
for part in "$@"; do "$part"; done
