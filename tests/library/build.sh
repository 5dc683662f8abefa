# The build: an object is made anew when the flags or the compiler change and only then; tests/run runs programs side by
# side and tells of them in order.  TAP on stdout.
. tests/cli/tap
object=$t/build/src/base/clock.o
# made WORDS...: how many objects make compiles for this one
made() { make --no-print-directory OUT="$t/build" "$@" "$object" 2>"$t/err" | grep -c '  CC  '; }
[ "$(made)" = 1 ] && [ "$(made)" = 0 ]
result $? 'an object is compiled once'
[ "$(made CFLAGS=-O0)" = 1 ] && [ "$(made CFLAGS=-O0)" = 0 ]
result $? 'changed flags compile it again, once'
[ "$(made CFLAGS=-DVERNIER_MARK=1 CC='gcc -std=c17')" = 1 ] && [ "$(made)" = 1 ]
result $? 'another compiler and the way back do, too'
[ "$(made CFLAGS=-no-such-flag)" = 1 ] && grep -q 'no-such-flag' "$t/err" && [ ! "$(make -n OUT="$t/build" CFLAGS=-O0 "$object" 2>"$t/err" |
    sed -n 's/.*\(-O3.*-O0\).*/\1/p')" = '' ]
result $? 'the flags of the caller come behind the own ones'

mkdir "$t/tests"
printf 'sleep 0.4\necho "ok 1 - slow"\n' >"$t/tests/a.sh"
printf 'echo "ok 1 - quick"\necho "not ok 2 - bad"\nexit 1\n' >"$t/tests/b.sh"
printf '# alone: for a test\n[ ! -e %s/busy ] && echo "ok 1 - by itself"\n' "$t" >"$t/tests/c.sh"
printf 'touch %s/busy; sleep 0.4; rm %s/busy; echo "ok 1 - # SKIP it"\n' "$t" "$t" >"$t/tests/d.sh"
build=$(cd "$t" && realpath --relative-to="$OLDPWD" "$t/built")
JOBS=4 tests/run "$build" "$t/tests/c.sh" "$t/tests/a.sh" "$t/tests/b.sh" "$t/tests/d.sh" >"$t/out" 2>"$t/err"
[ $? = 1 ] && [ "$(tail -n 1 "$t/out")" = '3 passed, 1 failed, 1 skipped' ] &&
    [ "$(sed -n 's|  TEST  .*/||p' "$t/out" | tr '\n' ' ')" = 'a b d c ' ]
result $? 'tests run side by side, are told in order, and those that want it run alone'
echo "1..$n"
