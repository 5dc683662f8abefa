# A git history for `git fast-import`: `commits` commits that change one or two of `files` files each, by a line or two
# of `lines`, with subjects that `vernier data mine` keeps.  Every 100th commit mends another.
#
#     awk -v commits=1000 -f tests/bench/history.awk | git fast-import --quiet
function line(f, l) { return "    int value" f "_" l " = " at[f, l] + 0 " * count(" f ", " l ");\n" }
function text(f,   l, s) {
    s = "class File" f " {\n"
    for (l = 0; l < lines; l++) s = s line(f, l)
    return s "}\n"
}
BEGIN {
    if (!files) files = 200
    if (!lines) lines = 40
    srand(1)
    split("Add Remove Rename Extend Simplify Speed-up Document Check", verb, " ")
    for (c = 1; c <= commits; c++) {
        subject = c % 100 ? verb[1 + c % 8] " value " c % 977 " of the class " c % files : "Fix bug in class " c % files
        printf "commit refs/heads/main\nmark :%d\n", c
        printf "committer Ann <ann@example.org> %d +0000\ndata %d\n%s\n", 1000000000 + 3600 * c, length(subject), subject
        if (c > 1) printf "from :%d\n", c - 1
        for (k = 0; k <= c % 2; k++) {
            f = int(rand() * files)
            at[f, int(rand() * lines)] = c
            body = text(f)
            printf "M 100644 inline src/d%d/File%d.java\ndata %d\n%s\n", f % 10, f, length(body), body
        }
        printf "\n"
    }
}
