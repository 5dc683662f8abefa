# The documents against the tree and the program: every path, function, name, target of make and option that they show
# in code, and every link, is there.  TAP on stdout.
. tests/cli/tap
set -- README.md ARCHITECTURE.md CONTRIBUTING.md CHANGELOG.md docs/*.md */README.md tests/*/README.md
mkdir "$t/help"

# spans FILE: the text between backticks, one a line.  fenced FILE: the lines of its blocks of code.
spans() {
    awk '/^```/ {inside = !inside; next} !inside {text = text " " $0}
         END {n = split(text, piece, "`"); for (i = 2; i <= n; i += 2) print piece[i]}' "$1"
}
fenced() { awk '/^```/ {inside = !inside; next} inside' "$1"; }
words() { tr -s ' ' '\n' | sed "s/^['(]*//; s/[',;:)]*$//"; }

is_path() { # an experiment is a path without its .c; * stands for anything
    for found in $1 "$1.c"; do [ ! -e "$found" ] || return 0; done
    return 1
}
is_name() { grep -rqwF --include='*.[ch]' --include='*.inc' -e "$1" src theory toy probes analysis notebooks-c tests; }
is_defined() { # a function or a macro
    grep -rqE --include='*.[ch]' "^([A-Za-z].*[ *]|# *define )$1\(" src theory toy probes analysis notebooks-c tests
}
is_file() { find src theory toy probes analysis notebooks-c tests packaging docs ./*.* -name "${1##*/}" | grep -q .; }
is_target() { grep -qE "^(.* )?$1( .*)?:" Makefile; }
absent() { # KIND: of the words on standard input, those that are not of it
    sort -u | while read -r word; do "is_$1" "$word" || echo "$file: $word"; done
}
# told COMMAND WORDS: the help of the command, or of its subcommand or experiment where the words name one
told() {
    page=$t/help/$1.$(echo "$2" | tr -c 'a-z0-9\n-' _)
    [ -e "$page" ] || { case $2 in [!-]* | --task\ *) ask "$1" $2 --help ;; *) false ;; esac || ask "$1" --help; } >"$page" 2>"$t/err"
    cat "$page"
}
unknown_options() { # lines of code on standard input
    sed -n 's/^[$ ]*//; s/.*source <(//; s/^vernier //p' | sed 's/ [|&;#].*//' | while read -r line; do
        name=${line%% *}
        case $name in --* | COMMAND) continue ;; esac
        rest=${line#"$name"} second=${rest# }
        case $second in --task\ *) ;; *) second=${second%% *} ;; esac
        second=$(echo "$second" | cut -d ' ' -f 1-2)
        printf '%s\n' "$line" | grep -oE -- '(^| )--[a-z-]+' | while read -r option; do
            { told "$name" "$second"; [ "$name" != sweep ] || told "${second%% *}" ''; } |
                grep -qE -- "$option([^a-z-]|$)|^ +$(echo "$option" | cut -c3-) " ||
                [ "$option" = --help ] || echo "$file: vernier $name has no $option"
        done
    done
}
none() { # FILE NAME: fails with what is in the file
    cp "$1" "$t/out"
    [ ! -s "$1" ]
    result $? "$2"
}

for file in "$@"; do
    spans "$file" >"$t/spans" && { cat "$t/spans"; fenced "$file"; } >"$t/code"
    words <"$t/code" | grep -E '^(src|tests|theory|toy|probes|analysis|docs|packaging)/' |
        grep -vE '[A-Z]{3}|\.\.\.|[{}=]' | absent path
    words <"$t/spans" | grep -E '^[a-zA-Z0-9_/-]+\.(c|h|sh|py)$' | grep -vE '[A-Z]{3}|^build/' | absent file
    grep -oE '[A-Za-z_][A-Za-z0-9_]*\(' "$t/spans" | tr -d '(' | absent defined
    grep -E '^[A-Za-z]+_[A-Za-z0-9_]+$' "$t/spans" | absent name
done >"$t/paths" 2>"$t/err"
none "$t/paths" 'every path and name in the documents is there'

for file in "$@"; do
    grep -oE '\]\([^)#]+' "$file" | cut -c3- | grep -v '^https\?:' | while read -r link; do
        [ -e "$(dirname "$file")/$link" ] || echo "$file: $link"
    done
done >"$t/links"
none "$t/links" 'every link leads to a file'

for file in "$@"; do
    { spans "$file"; fenced "$file"; } | sed -nE 's/^make +([A-Z]+=[^ ]* +)*([a-z-]+)( .*)?$/\2/p' | absent target
done >"$t/targets"
none "$t/targets" 'every target of make is in the Makefile'

for file in "$@"; do { spans "$file"; fenced "$file"; } | unknown_options; done >"$t/options"
none "$t/options" 'every command that is shown has the options that it is shown with'

# An option has other names, which help does not show; messages keep to the one that it shows.
other=$(grep -rho --include='*.c' '\.alias = "[a-z|-]*"' src/cli src/bench analysis | cut -d'"' -f2 | tr '|' '\n' | sort -u)
own=$(grep -rhoE --include='*.c' '^ *\{"[a-z-]+",' src analysis | cut -d'"' -f2 | sort -u)
for name in $other; do
    printf '%s\n' $own | grep -qx -- "$name" || grep -rnE --include='*.c' -- "\"[^\"]*--$name([^a-z-]|\$)" src analysis probes
done >"$t/others"
none "$t/others" 'no message names an option by a name that help does not show'
echo "1..$n"
