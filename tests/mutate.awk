# Small faults for tests/mutate: reads C sources, each as clang-format leaves it, and prints the faults that it
# could put into them, one a line: stratum, file, line number, kind, and the line as it becomes, split by tabs.
#
# Comments, strings, preprocessor lines and messages (CHECK, err_fail, remark, print_out) stay as
# they are. All candidates stand in the order of the files and are cut into COUNT strata of the same size; within a
# stratum they come in an order that SEED decides, a kind at a time, so that the many constants do not push the rest
# out. Who takes the first that compiles of each stratum has COUNT faults spread over the files.

BEGIN {
    FS = "\n"
    split("CHECK EXPECT static_assert err_fail err_fail_at err_die err_no_memory print_out print_err print_to printf " \
          "fprintf remark print_remark tuning_remark adapter_remark scores_remark run_remark mine_remark " \
          "repo_remark objects_remark", words, " ")
    for (i in words) quiet[words[i]] = 1
    swap[" < "] = "<= >="; swap[" <= "] = "< >"; swap[" > "] = ">= <="; swap[" >= "] = "> <"
    swap[" == "] = "!="; swap[" != "] = "=="; swap[" && "] = "||"; swap[" || "] = "&&"
    swap[" + "] = "-"; swap[" - "] = "+"; swap[" * "] = "/ +"; swap[" / "] = "*"; swap[" % "] = "/"
    swap[" += "] = "-= ="; swap[" -= "] = "+= ="; swap[" *= "] = "/= ="; swap[" /= "] = "*="
    swap[" |= "] = "&= ="; swap[" &= "] = "|="; swap[" << "] = ">>"; swap[" >> "] = "<<"
    swap[" & "] = "|"; swap[" | "] = "&"; swap[" ^ "] = "|"
    seed = SEED % 2147483646 + 1
    for (i = 0; i < 8; i++) chance(2)
}

function chance(n) { # 0 to n - 1: Lehmer's generator, the same with every awk
    seed = seed * 16807 % 2147483647
    return int(seed / 2147483647 * n)
}

function blank(n,  s) { s = sprintf("%" n "s", ""); gsub(/ /, "\001", s); return s }

# The line with everything that must stay as it is blanked out, column by column.
function mask(line,  out, i, c, word, pair) {
    if (directive || (!comment && line ~ /^[ \t]*#/)) {
        directive = line ~ /\\$/
        return blank(length(line))
    }
    out = ""
    for (i = 1; i <= length(line); i++) {
        c = substr(line, i, 1); pair = substr(line, i, 2)
        if (comment) {
            if (pair == "*/") { comment = 0; out = out "\001"; i++ }
            out = out "\001"
        } else if (pair == "/*") {
            comment = 1; out = out "\001\001"; i++
        } else if (pair == "//") {
            out = out blank(length(line) - i + 1)
            break
        } else if (c == "\"" || c == "'") {
            word = i
            for (i++; i <= length(line) && substr(line, i, 1) != c; i++) if (substr(line, i, 1) == "\\") i++
            out = out blank(i - word + 1)
        } else if (hidden) {
            if (c == "(") hidden++
            if (c == ")") hidden--
            out = out "\001"
        } else if (c ~ /[A-Za-z_]/ && match(substr(line, i), /^[A-Za-z_0-9]+/)) {
            word = substr(line, i, RLENGTH)
            i += length(word) - 1
            if (word in quiet && substr(line, i + 1, 1) == "(") { hidden = 1; i++; out = out blank(length(word) + 1) }
            else out = out word
        } else if (c ~ /[0-9]/ && match(substr(line, i), /^[0-9][0-9A-Za-z_.]*/)) {
            out = out substr(line, i, RLENGTH)
            i += RLENGTH - 1
        } else out = out c
    }
    return out
}

function offer(kind, line, at, old, new) { # columns at to at + old - 1 become new
    total++
    where[total] = FILENAME "\t" FNR "\t" kind
    becomes[total] = substr(line, 1, at - 1) new substr(line, at + old)
    sort_of[total] = kind
}

function operators(line, m,  i, op, choices, n, length_of) {
    for (i = 2; i < length(m); i++) {
        if (substr(m, i, 1) != " ") continue
        for (length_of = 4; length_of >= 3; length_of--) {
            op = substr(m " ", i, length_of)
            if (!(op in swap)) continue
            n = split(swap[op], choices, " ")
            offer("operator", line, i + 1, length_of - 2, choices[1 + chance(n)])
            break
        }
        if (substr(m, i, 3) == " ? ") offer("operator", line, i + 1, 1, "== 0 ?")
    }
    for (i = 1; i < length(m); i++) {
        if (substr(m, i, 2) ~ /^![A-Za-z_(*]/) offer("operator", line, i, 1, "")
        if (substr(m, i, 2) ~ /^-[A-Za-z_0-9(]/ && substr(m, 1, i - 1) ~ /([(,=?:[{] ?|return )$/)
            offer("operator", line, i, 1, "")
        op = substr(m, i, 2)
        if ((op == "++" || op == "--") && m !~ /^ *for \(/) offer("operator", line, i, 2, op == "++" ? "--" : "++")
        if (substr(m, i) ~ /^fm(in|ax)\(/) offer("operator", line, i, 4, substr(m, i, 4) == "fmin" ? "fmax" : "fmin")
    }
}

function constants(line, m,  i, word, before) {
    for (i = 1; i <= length(m); i++) {
        if (!match(substr(m, i), /^[A-Za-z_0-9.]+/)) continue
        word = substr(m, i, RLENGTH); before = substr(m, 1, i - 1)
        if (word ~ /^[0-9]+$/ && before !~ /case $/ && !(before ~ /\[$/ && word >= 16))
            offer("constant", line, i, RLENGTH, word > 0 && chance(2) ? word - 1 : word + 1)
        else if (word ~ /^([0-9]+\.[0-9]*|\.[0-9]+)$/ && word + 0 == 0) offer("constant", line, i, RLENGTH, "1.0")
        else if (word ~ /^([0-9]+\.[0-9]*|[0-9]+e)$/) offer("constant", line, i, 0, "2 * ")
        else if (word == "true" || word == "false") offer("constant", line, i, RLENGTH, word == "true" ? "false" : "true")
        i += length(word)
    }
}

function closing(m, at,  depth) { # of the parenthesis that opens at column at; 0 when it closes on a later line
    for (depth = 0; at <= length(m); at++) {
        if (substr(m, at, 1) == "(") depth++
        if (substr(m, at, 1) == ")" && --depth == 0) return at
    }
    return 0
}

# A whole statement on a line, or the one behind a condition: an assignment, a call, and behind `if` a jump.
function statements(line, m, last,  at, rest, jump) {
    if (last !~ /([;{})]|else|:|\001) *$/) return
    match(m, /^ */); at = RLENGTH + 1
    if (at == 1) return
    while (match(substr(m, at), /^(if|for|while) \(/)) {
        jump = substr(m, at, 2) == "if"
        at = closing(m, at + RLENGTH - 1)
        if (!at || substr(m, at + 1, 1) != " ") return
        at += 2
    }
    rest = substr(m, at)
    if (rest !~ /^[A-Za-z_*+(-].*;[ \001]*$/ || rest ~ /[{}]/ || rest ~ /^[A-Za-z_0-9]+ \**[A-Za-z_]/) {
        if (!(jump && rest ~ /^return.*;/)) return
    }
    if (rest ~ /^(return|break|continue|goto|else|do|case|default|const|static|typedef|struct)[^A-Za-z_0-9]/ && !jump) return
    gsub(/[^()]/, "", rest)
    if (gsub(/\(/, "", rest) != gsub(/\)/, "", rest)) return
    offer("statement", line, at, length(line) - at + 1, ";")
}

function arguments(line, m,  i, j, name, depth, start, n, c, from, to) {
    for (i = 1; i <= length(m); i++) {
        if (!match(substr(m, i), /^[A-Za-z_][A-Za-z_0-9]*/)) continue
        name = substr(m, i, RLENGTH); i += RLENGTH
        if (substr(m, i, 1) != "(" || name ~ /^(fmin|fmax|min|max|if|for|while|switch|return|sizeof)$/) continue
        if (m ~ /^[A-Za-z]/) continue # a function's own head
        n = 0; depth = 0; start = i + 1
        for (j = i; j <= length(m); j++) {
            c = substr(m, j, 1)
            if (c ~ /[(\[{]/) depth++
            if (c ~ /[)\]}]/) depth--
            if ((c == "," && depth == 1) || depth == 0) {
                n++; from[n] = start; to[n] = j - 1; start = j + 2
            }
            if (depth == 0) break
        }
        if (depth) continue
        for (j = 1; j < n; j++) {
            a = substr(line, from[j], to[j] - from[j] + 1); b = substr(line, from[j + 1], to[j + 1] - from[j + 1] + 1)
            if (a != b && a != "" && b != "") offer("arguments", line, from[j], to[j + 1] - from[j] + 1, b ", " a)
        }
    }
}

FNR == 1 { comment = directive = hidden = 0; last = ";" }
{
    m = mask($0)
    if (m ~ /[A-Za-z]/ && m !~ /^[A-Za-z].*\)$/) {
        operators($0, m); constants($0, m); statements($0, m, last); arguments($0, m)
    }
    if (m !~ /^[ \001]*$/) last = m
}

END {
    for (s = 0; s < COUNT; s++) {
        low = int(total * s / COUNT) + 1; high = int(total * (s + 1) / COUNT)
        while (low <= high) { # a kind, then one of its candidates
            kinds = ""
            for (i = low; i <= high; i++) if (index(kinds, sort_of[i]) == 0) kinds = kinds " " sort_of[i]
            n = split(kinds, kind, " ")
            wanted = kind[1 + chance(n)]
            n = 0
            for (i = low; i <= high; i++) if (sort_of[i] == wanted) pick[n++] = i
            i = pick[chance(n)]
            print s + 1 "\t" where[i] "\t" becomes[i]
            where[i] = where[low]; becomes[i] = becomes[low]; sort_of[i] = sort_of[low]
            low++
        }
    }
}
