# Every registered experiment runs at its smoke preset and leaves a complete run directory; the claim of an exact one
# also holds.  One seed of a few steps shows nothing about training: no other claim is supported, and those of the
# theory and the toys say what would decide them.
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
n=0
listed() { # PATTERN: GROUP/NAME of the experiments whose description has it
    "$VERNIER" list --json | tr -d '\n\t' | sed 's/"group"/\n&/g' |
        sed -n "s/^\"group\":\"\([a-z]*\)\",\"name\":\"\([a-z0-9-]*\)\"$1.*/\1\/\2/p"
}
awk 'BEGIN { print "text,label"; for (i = 0; i < 60; i++) print (i % 2 ? "int" : "char") " x" i " = 0;," i % 2 }' >"$dir/own.csv"
exact=$(listed '.*"exact":true')
for name in $(listed ''); do
    n=$((n + 1))
    gate= data=
    [ "$name" != probes/own ] || data="--data $dir/own.csv --text-column text --label-column label"
    case " $(echo $exact) " in *" $name "*) gate=--gate ;; esac
    if "$VERNIER" run "$name" --preset smoke $gate $data --quiet --out "$dir/$name" >"$dir/said" 2>"$dir/complained" &&
        [ -s "$dir/$name/manifest.json" ] && [ -s "$dir/$name/results.json" ] && [ -s "$dir/$name/results.csv" ] &&
        ls "$dir/$name"/figures/*.svg >/dev/null 2>&1 && ! find "$dir/$name" -name '*.part' | grep -q .; then
        if [ "$gate" ]; then
            echo "ok $n - $name at smoke, and its claim holds"
        elif tr -d '\n\t' <"$dir/$name/results.json" | grep -q '"status": *"done", *"verdict": *"supported"'; then
            echo "not ok $n - $name is supported by one seed of a few steps"
        elif [ "${name%%/*}" != probes ] && ! grep -q '"claims"' "$dir/$name/results.json"; then
            echo "not ok $n - $name does not state its claims"
        else
            echo "ok $n - $name at smoke"
        fi
    else
        sed 's/^/# /' "$dir/said" "$dir/complained"
        echo "not ok $n - $name at smoke"
    fi
done
[ "$(echo $exact | wc -w)" -ge 5 ] || echo "not ok $((n += 1)) - only these claim to be exact: $exact"
[ $n -ge 4 ] || echo "not ok $((n + 1)) - only $n experiments are listed"
