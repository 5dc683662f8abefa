# What a killed command has left is believed only as it was written: each file of it is cut, altered, emptied and deleted
# in turn, and the same command then ends in the bytes of an undisturbed one.  TAP on stdout.
. tests/cli/tap
case $VERNIER in /*) ;; *) VERNIER=$PWD/$VERNIER ;; esac
cd "$t" || exit 1
"$VERNIER" data make changes --n 60 --seed 3 --difficulty 0 --quiet --out c.jsonl >out 2>err
others=$(for f in la ld nf ns nd entropy ndev lt nuc age exp rexp sexp; do printf '"%s": 1, ' $f; done)
sed "s/\"label\": \([01]\)/\"features\": {$others\"fix\": \1}, &/" c.jsonl >f.jsonl

way=0
harm() { # HOW FILE
    size=$(wc -c <"$2")
    case $1 in
    cut) head -c $((size * 2 / 3)) "$2" >harmed && cat harmed >"$2" ;;
    altered) # the lowest bit of a byte behind the middle
        at=$((size / 2 + size / 7))
        byte=$(od -An -tu1 -j$at -N1 "$2")
        # shellcheck disable=SC2059
        printf "\\$(printf %o $((byte ^ 1)))" | dd of="$2" bs=1 seek=$at conv=notrunc 2>/dev/null
        ;;
    emptied) : >"$2" ;;
    deleted) rm "$2" ;;
    esac
}

# each_file NAME LEFT WORDS...: LEFT is what a killed command of these words has left.  Each file is harmed in one of the
# ways of $ways, by turns; with HARMS=all in each of them.
each_file() {
    name=$1 left=$2
    shift 2
    bad=0 silent=0 tried=0
    : >log
    # The manifest says whose the directory is, and is not made up (folders.sh); a half file is begun anew in any case.
    for file in $(cd "$left/unfinished" && find . -type f ! -name manifest.json ! -name '*.vernier.part' | sed 's|^\./||' | sort); do
        way=$((way % 4 + 1))
        ways=$(echo cut altered emptied deleted | cut -d' ' -f$way)
        [ "$HARMS" != all ] || ways='cut altered emptied deleted'
        for how in $ways; do
            [ -s "$left/unfinished/$file" ] || [ $how = deleted ] || continue
            tried=$((tried + 1))
            rm -rf again && cp -r "$left" again
            harm $how "again/unfinished/$file"
            "$VERNIER" "$@" --out again >said 2>err
            code=$?
            if [ $code != 0 ] || ! diff -r -x 'timings.json*' -x "${EXCEPT:-none}" whole again >out 2>&1 ||
                { [ -z "$EXCEPT" ] && ! cmp -s said whole.said; }; then
                bad=$((bad + 1))
                { echo "$file $how: exit $code" && head -n 3 err out; } >>log
            fi
            # Whether anybody was told; what nothing is taken from is written anew without a word.
            grep -Eq 'missing or altered|begins anew|not as it was written|damaged' err || silent=$((silent + 1))
        done
    done
    cp log out && : >err
    [ $bad = 0 ] && [ $tried -gt 0 ]
    result $? "$name: $tried harmed files, of which $silent go unsaid and $bad make a difference"
}

small=layers=1,dim=16,heads=2,hidden=32,vocab=320
# killed NAME FILE WORDS...: the undisturbed command is `whole`; the killed one, when FILE has come, is `left`
killed() {
    name=$1 until=$2
    shift 2
    rm -rf whole left
    "$VERNIER" "$@" --out whole >whole.said 2>err
    result $? "$name"
    sed -i 's/whole/again/g' whole.said
    "$VERNIER" "$@" --out left >out 2>err &
    pid=$!
    while kill -0 $pid 2>/dev/null && [ ! -e "left/unfinished/$until" ]; do sleep 0.01; done
    kill -KILL $pid 2>/dev/null
    wait $pid 2>/dev/null
    [ -e "left/unfinished/$until" ]
    result $? '... that is killed'
    each_file "$name" left "$@"
}
common='--batch 16 --threads 1'
jit="tune --task jit --train f.jsonl --encoder $small,length=32,steps=4 --epochs 12 --evaluations 2 --patience 0 $common"
# shellcheck disable=SC2086
{
    killed 'defect prediction, an adapter' train.json $jit --method lora --options rank=2
    grep -rqa . left/unfinished/head.safetensors && [ -e left/unfinished/best.sha256 ]
    result $? '... with its head and the list of its files'
    killed 'defect prediction, the whole model' model/model.safetensors $jit --method full --features 13
    killed 'a small model that is being pretrained' encoder.train.safetensors tune --task jit --train f.jsonl --epochs 1 \
        --encoder $small,length=32,steps=300 --evaluations 1 $common
    killed 'messages' train.json tune --task cmg --train c.jsonl --encoder $small --length 32 --target 16 --epochs 8 \
        --evaluations 1 --patience 0 $common
}
# The times of an experiment stand in its manifest and in what it prints.
EXCEPT=manifest.json
killed 'a study that pretrains its base' base.train.safetensors run probes/study --preset smoke --methods lora --steps 140
echo "1..$n"
