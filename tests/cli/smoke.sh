# Every registered experiment runs at its smoke preset and leaves a complete run directory.
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
n=0
for name in $("$VERNIER" list | sed -n 's/^  \([a-z]*\/[a-z0-9-]*\): .*/\1/p'); do
    n=$((n + 1))
    if "$VERNIER" run "$name" --preset smoke --quiet --out "$dir/$name" >"$dir/said" 2>"$dir/complained" &&
        [ -s "$dir/$name/manifest.json" ] && [ -s "$dir/$name/results.json" ] && [ -s "$dir/$name/results.csv" ] &&
        ls "$dir/$name"/figures/*.svg >/dev/null 2>&1 && ! find "$dir/$name" -name '*.part' | grep -q .; then
        echo "ok $n - $name at smoke"
    else
        sed 's/^/# /' "$dir/said" "$dir/complained"
        echo "not ok $n - $name at smoke"
    fi
done
[ $n -ge 4 ] || echo "not ok $((n + 1)) - only $n experiments are listed"
