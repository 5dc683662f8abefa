# The forms that the tables of commands take: help of a subcommand and of an experiment, one section of the list, manual
# pages, and completion in three shells, each driven as its shell does where that shell is installed.  TAP on stdout.
. tests/cli/tap
same() { # NAME COMMAND...: the command's output is $t/out
    name=$1
    shift
    "$@" 2>"$t/err" | cmp -s - "$t/out"
    result $? "$name"
}
shows() { # PATTERN NAME: the last output has a line like that
    grep -Eq -- "$1" "$t/out"
    result $? "$2"
}
hides() { # PATTERN NAME
    ! grep -E -- "$1" "$t/out" >"$t/err"
    result $? "$2"
}
skip() { echo "ok $((n += 1)) - $1 # SKIP no $2 here"; }

# ---- the options of a model
"$VERNIER" --help | sed -n '/^commands/,/^$/s/^  \([a-z]*\) .*/\1/p' >"$t/commands"
: >"$t/out" && : >"$t/err"
while read -r c; do
    "$VERNIER" "$c" --help </dev/null >"$t/one" 2>&1
    if grep -q '^  --adapter DIR' "$t/one" && ! grep -q '^  --vocab-from-file' "$t/one"; then echo "$c" >>"$t/err"; fi
done <"$t/commands"
[ -s "$t/commands" ] && [ ! -s "$t/err" ]
result $? 'each command that attaches an adapter to a model has --vocab-from-file'

# ---- subcommands
for c in data model adapter; do
    for v in $("$VERNIER" help $c | sed -n '/^subcommands/,/^$/s/^  \([a-z]*\) .*/\1/p'); do
        expect 0 "^usage: vernier $c $v .*\[options\]" "$c $v has help" $c $v --help
        same "... which help $c $v shows, too" "$VERNIER" help $c $v
        shows "^  vernier $c $v" '... with an example'
        sed -n '/^example/,$p' "$t/out" | grep vernier | grep -v "^  vernier $c $v" >"$t/err"
        [ ! -s "$t/err" ]
        result $? '... and none of another subcommand'
        hides '.{101,}' '... in lines of 100 columns'
    done
done
expect 0 '^  --range A..B +the commits' 'data mine has options of its own' data mine --help
hides '^  --(recipe|task|balance) ' '... and none of others'
expect 0 '^  --json' 'data sheet has the shared options' help data sheet
hides '^  --(range|out|recipe) ' '... and none of others'
expect 0 '^  --fault KIND +typ: ' 'data make shows whose an option is' data make --help
expect 0 '^  --balance +[^l]' 'data make ltp needs not' data make ltp --help
hides '^  --(fault|n|range) ' '... and has no options of another set'
hides '^  vernier data make ccm' '... and no example of one'
expect 0 '^  --key NAME' 'model list has an option of all' model list --help
hides '^  --(dtype|arch) ' '... and none of others'
expect 2 "unknown subcommand 'mien' of 'data'; expected mine, make or sheet" 'an unknown subcommand' help data mien
expect 2 "unknown subcommand 'mien' of 'data'" 'the same with --help' data mien --help

# ---- experiments
before() { # FIRST SECOND NAME
    first=$(grep -n "$1" "$t/out" | head -n 1 | cut -d: -f1) second=$(grep -n "$2" "$t/out" | head -n 1 | cut -d: -f1)
    [ "${first:-0}" -gt 0 ] && [ "$first" -lt "${second:-0}" ]
    result $? "$3"
}
for words in 'toy e1' 'run toy/e1' 'probe --task typ'; do
    # shellcheck disable=SC2086
    expect 0 '^  claim ' "$words --help has its claim" $words --help
    before '^  claim ' '^options' '... before the options'
    before '^  settings ' '^options' '... with its settings'
done
expect 0 '^    --pretrain-steps ' 'help toy e1 is the same' help toy e1
expect 0 '^probes/typ$' 'help probe typ is of the task' help probe typ

# ---- the list
for s in theory toy probes; do
    expect 0 "^  $s/" "list $s" list $s
    "$VERNIER" list $s | grep -E '^  [a-z]+/|^tuning|^architectures' | grep -v "^  $s/" >"$t/err"
    [ ! -s "$t/err" ]
    result $? '... has nothing else'
done
expect 0 'toy: .*\([0-9]+\)$' 'the list of everything' list
[ "$(wc -l <"$t/out")" -le 40 ] && [ "$(awk 'length > 100' "$t/out" | wc -l)" = 0 ]
result $? '... fits on a screen'
for s in theory toy; do
    "$VERNIER" list $s >"$t/want"
    expect 0 "vernier $s all" "$s alone" $s
    head -n "$(wc -l <"$t/want")" "$t/out" | cmp -s - "$t/want"
    result $? '... lists its experiments'
done
expect 0 '^  lora ' 'list methods' list methods
hides '/|^  roberta' '... has nothing else'
expect 0 '^  roberta ' 'list architectures' list architectures
hides '/|^  lora' '... has nothing else'
expect 2 "unknown section 'nosuch'; expected theory, toy" 'an unknown section' list nosuch
expect 0 '"lora":' 'list methods as JSON' list methods --json
hides '"experiments"|"architectures"' '... has nothing else'

# ---- manual pages
"$VERNIER" man "$t/man" >"$t/out" 2>"$t/err" && [ ! -s "$t/out" ] && [ ! -s "$t/err" ]
result $? 'manual pages are written'
SOURCE_DATE_EPOCH=86400 "$VERNIER" man "$t/dated" && SOURCE_DATE_EPOCH=86400 TZ=Asia/Tokyo "$VERNIER" man "$t/again"
diff -r "$t/dated" "$t/again" >"$t/out" 2>"$t/err" && grep -q '^.TH VERNIER 1 "1970-01-02" "vernier ' "$t/dated/vernier.1"
result $? '... the same twice, with the date that is given'
sed -n 1p "$t/man"/*.1 | grep -v '^.TH VERNIER[A-Z\\-]* 1 "" "vernier ' >"$t/out" 2>"$t/err"
[ ! -s "$t/out" ]
result $? '... and with none where none is'
: >"$t/out" && : >"$t/err"
for c in $("$VERNIER" --help | sed -n '/^commands/,/^$/s/^  \([a-z-]*\) .*/\1/p'); do
    for o in $("$VERNIER" help "$c" | sed -n 's/^  --\([a-z-]*\).*/\1/p'); do
        grep -qF -- "\\fB\\-\\-$(echo "$o" | sed 's/-/\\-/g')\\fR" "$t/man/vernier-$c.1" || echo "$c --$o" >>"$t/err"
    done
    for section in NAME SYNOPSIS DESCRIPTION OPTIONS EXAMPLES 'EXIT STATUS' 'SEE ALSO'; do
        grep -q "^.SH $section\$" "$t/man/vernier-$c.1" || echo "$c has no $section" >>"$t/err"
    done
    grep -q "^.BR vernier.-$c (1)" "$t/man/vernier.1" || echo "vernier.1 does not name $c" >>"$t/err"
done
[ ! -s "$t/err" ]
result $? 'every option and section is on the page of its command'
lint() { # NAME COMMAND...: the command says nothing about any page
    name=$1
    shift
    for page in "$t/dated"/*.1; do "$@" "$page" 2>&1 >/dev/null; done >"$t/err"
    [ ! -s "$t/err" ]
    result $? "$name"
}
if man --version >"$t/out" 2>&1 && grep -q '^man [0-9]' "$t/out" && command -v groff >/dev/null; then
    lint 'man has no warnings' man --warnings -E UTF-8 -l
    lexgrog "$t/dated/vernier-tune.1" 2>"$t/err" | grep -q 'vernier-tune - tune a model'
    result $? '... and apropos finds the name'
else
    skip 'man has no warnings' man
fi
linted() { mandoc -T lint -W warning "$1" >&2; }
if command -v mandoc >/dev/null; then lint 'mandoc has no warnings' linted; else skip 'mandoc has no warnings' mandoc; fi

# ---- completion
expect 2 "unknown shell 'csh'; expected bash, zsh or fish" 'no completion for another shell' completion csh
mkdir -p "$t/files/sub" && touch "$t/files/a b.jsonl"
for shell in bash zsh fish; do "$VERNIER" completion $shell >"$t/vernier.$shell" || exit 1; done
cat >"$t/drive.bash" <<'END'
. "$1"
cd "$2"
shift 2
COMP_WORDS=(vernier "$@") COMP_CWORD=$#
_vernier 2>/dev/null
printf '%s\n' "${COMPREPLY[@]}"
END
# Stands for the line editor: it gives the words of the line, and prints the words that _vernier hands to zsh's helpers.
cat >"$t/drive.zsh" <<'END'
compdef() { :; }
_describe() { local -a given=("${(@P)2}"); print -rl -- "${(@M)given%%:*}" "${(@)given%%:*}" | grep -v '^:' | grep -- "^${PREFIX}"; }
_files() { if [ "$1" = -/ ]; then print -l *(/); else print -l *; fi; }
_message() { :; }
. $1
cd $2
shift 2
words=(vernier "$@") CURRENT=$(($# + 1)) PREFIX=${@[-1]}
_vernier
END
cat >"$t/drive.fish" <<'END'
source $argv[1]
cd $argv[2]
set -l line vernier (string replace -a ' ' '\\ ' -- $argv[3..])
complete -C "$line" | cut -f 1 | string trim -r -c /
END
offers() { # WANTED WORDS...: a word among the offers for the last word; "" no offer at all; "!x": all but x
    wanted=$1
    shift
    for shell in $shells; do
        case $shell in
        bash) bash "$t/drive.bash" "$t/vernier.bash" "$t/files" "$@" ;;
        zsh) zsh -f "$t/drive.zsh" "$t/vernier.zsh" "$t/files" "$@" ;;
        fish) fish --no-config "$t/drive.fish" "$t/vernier.fish" "$t/files" "$@" ;;
        esac >"$t/out" 2>"$t/err"
        case $wanted in
        '') ! grep -q . "$t/out" ;;
        !*) grep -q . "$t/out" && ! grep -qxF -e "${wanted#!}" "$t/out" ;;
        *) grep -qxF -e "$wanted" "$t/out" ;;
        esac
        result $? "$shell offers '$wanted' behind vernier $*"
    done
}
shells=
for shell in bash zsh fish; do
    if command -v $shell >/dev/null; then
        : >"$t/out"
        $shell -n "$t/vernier.$shell" 2>"$t/err" && [ ! -s "$t/err" ]
        result $? "$shell reads its completion"
        shells="$shells $shell"
    else
        skip "$shell reads its completion" $shell
    fi
done
offers attend ''
offers help ''
offers --version --v
offers data d
offers '!man' ''
offers mine data ''
offers ltp data make ''
offers --features data mine --f
offers --from data make typ --f
offers '!--features' data make typ --f
offers '' data make typ --b
offers typ data sheet x --task ''
offers clean data make typ --recipe ''
offers e1-fair toy e1
offers theory/one-token run theory/
offers --pretrain-steps toy e1 --p
offers --pretrain-steps run toy/e1 --p
offers '!--full-steps' toy e2 --out sub --
offers smoke toy e1 --preset ''
offers typ probe --task ''
offers both probe --task typ --mode ''
offers lora tune --method l
offers words tune --method w
offers t5 model inspect --arch ''
offers hf adapter convert a b --to ''
offers methods list ''
offers ref list --kernels ''
offers score help s
offers sheet help data ''
offers fish completion ''
offers '' tune --learning-rate ''
offers '' tune --lr ''
offers 'a b.jsonl' tune --train ''
offers sub tune --out ''
offers '!a b.jsonl' tune --out ''
offers 'a b.jsonl' model list ''
offers --label score --l
shells=$(echo "$shells" | grep -o bash)
offers gpt2 model inspect --arch = g
offers gpt2 model inspect --arch =
echo "1..$n"
