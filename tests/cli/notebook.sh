# vernier notebook: cells are compiled and run in order in one folder, figures and faults are found, and a stale notebook
# is told.  TAP on stdout.
. tests/cli/tap
w=$t/work
ask() { (cd "$w" && "$VERNIER" notebook "$@"); }
mkdir "$w"
case $VERNIER in /*) ;; *) VERNIER=$PWD/$VERNIER ;; esac
cat >"$w/a.c" <<'END'
// %% [markdown]
// # First <steps>
// ## Part
// Text with `code`.

// %%
//%cflags: -DWORD=1
#include <stdio.h>
int main(void)
{
    FILE *f = fopen("state", "w");
    fprintf(f, "%.2f", 0.25);
    fclose(f);
    printf("word %d\n", WORD);
    return 0;
}
// %%
//%ldflags: -lm
#include <stdio.h>
#include <math.h>
int main(int argc, char **argv)
{
    double x = 0;
    FILE *f = fopen("state", "r");
    if (fscanf(f, "%lf", &x) != 1) return 1;
    printf("%.2f %.2f\nFigure run/p.png: A picture & its caption\nbehind\n", x, sqrt(argc + x));
    return 0;
}
END
mkdir -p "$w/out/run"
cp toy/e1-attention.png "$w/out/run/p.png" && cat >"$w/out/run/p.svg" <<'END'
<svg xmlns="http://www.w3.org/2000/svg" width="10pt" height="10pt"><g id="s"/></svg>
END
expect 0 '^out/a.ipynb and out/a.html are written$' 'a notebook runs' a.c
grep -q '"nbformat_minor": 5' "$w/out/a.ipynb" && grep -q '"id": "code-2"' "$w/out/a.ipynb" && grep -q '"0.25 1.12\\n"' "$w/out/a.ipynb"
result $? 'its cells share the folder, and their output is in the .ipynb'
[ "$(grep -c '"image/png": "iVBOR' "$w/out/a.ipynb")" = 1 ] && grep -q '"behind\\n"' "$w/out/a.ipynb"
result $? 'with the figure, and what comes behind it'
grep -q '<title>First &lt;steps&gt;</title>' "$w/out/a.html" && grep -q '<svg role="img" aria-label="A picture &amp; its caption"' "$w/out/a.html" &&
    ! grep -q 'cflags' "$w/out/a.html" && ! grep -q '^Figure run' "$w/out/a.html"
result $? 'the page has text, code and figure, without the lines for the compiler'
! grep -q "$w" "$w/out/a.ipynb" && ! grep -q "$w" "$w/out/a.html"
result $? 'neither has a path of this machine'
cp "$w/out/a.ipynb" "$w/kept.ipynb"
expect 0 'are written' 'again, it is the same' a.c --against kept.ipynb
sed -i 's/0\.25 1\.12/0.25 1.13/' "$w/kept.ipynb"
expect 0 'are written' 'a last digit may differ' a.c --against kept.ipynb
expect 0 'are written' 'and such a notebook is kept' a.c --store kept.ipynb --overwrite
grep -q '0.25 1.13' "$w/kept.ipynb"
result $? '... as it was'
sed -i 's/0\.25 1\.13/0.25 1.32/' "$w/kept.ipynb"
expect 1 "kept.ipynb: is stale: code cell 2 .a.c:18. gives '1.12', and '1.32' is stored" 'a number that differs more is stale' a.c --against kept.ipynb
expect 0 'kept.ipynb is written anew' 'and is stored anew' a.c --store kept.ipynb --overwrite
"$VERNIER" notebook "$w/a.c" --out "$w/out" --quiet >"$t/out" 2>&1 && [ ! -s "$t/out" ]
result $? 'quietly, where that is asked for'
cmp -s "$w/kept.ipynb" "$w/out/a.ipynb"
result $? '... as the new one'
printf '// %%%%\nint main(void)\n{\n    return missing;\n}\n' >"$w/b.c"
expect 1 "b.c:2: code cell 1 does not compile: [^ ]*missing[^ ]* undeclared" 'a cell that does not compile is told' b.c
[ ! -e "$w/out/b.ipynb" ]
result $? '... and no notebook is written'
printf '// %%%%\n#include <stdio.h>\nint main(void)\n{\n    fputs("error: three\\n", stderr);\n    return 3;\n}\n' >"$w/b.c"
expect 1 'b.c:2: code cell 1 ends with exit status 3: three' 'so is a cell that fails' b.c
printf '// %%%%\nint main(void)\n{\n    __builtin_trap();\n}\n' >"$w/b.c"
expect 1 'code cell 1 ends with exit status 1(32|33)' 'and one that crashes' b.c
printf '// %%%%\n#include <stdio.h>\nint main(void)\n{\n    puts("Figure ../x.png: no");\n    puts("Figure /etc/x.png: no");\n    return 0;\n}\n' >"$w/b.c"
expect 0 'are written' 'a picture outside the folder is text' b.c
printf '// %%%%\n#include <stdio.h>\nint main(void)\n{\n    puts("Figure run/none.png: no");\n    return 0;\n}\n' >"$w/b.c"
expect 3 'run/none.png' 'a picture that is not there is named' b.c --overwrite
expect 3 'none.c' 'so is a notebook that is not there' none.c
expect 3 'a.c' 'and a stored one that is no notebook' a.c --against a.c
CC=no-such-compiler expect 3 'no-such-compiler: cannot be started; CC names another' 'and a compiler that is not' a.c --overwrite
echo "1..$n"
