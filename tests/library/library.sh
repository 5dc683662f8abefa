# The library as others see it: an installed copy, and programs outside the repository that pkg-config leads to it.  Names
# that its headers do not declare are hidden, `make uninstall` leaves nothing, and a tarball says its version.
# TAP on stdout.
. tests/cli/tap
build=$(dirname "$VERNIER") mode=$(basename "$(dirname "$VERNIER")")
skip() { echo "ok $((n = n + 1)) # SKIP $1"; exit 0; }
case $mode in release | debug) ;; *) skip "the library of build/$mode needs its sanitizer in the program" ;; esac
[ -e "$build/libvernier.so" ] && [ -e "$build/api/headers" ] || skip "there is no library in $build"
CC=${CC:-gcc} to=$t/to
quietly() { "$@" >"$t/out" 2>"$t/err"; }
installer() { # what make install does, of what is built
    OUT=$build PREFIX=$1 LIBDIR=lib DESTDIR=$2 RELEASE=$release SONAME=libvernier.so.${release%.*} PRIVATE=$private \
        quietly packaging/install
}
release=$(sed -n 's/^RELEASE := //p' Makefile)
private=$(make -s MODE="$mode" private 2>/dev/null)

installer "$to" ''
result $? 'the library is installed'
PKG_CONFIG_PATH=$to/lib/pkgconfig LD_LIBRARY_PATH=$to/lib
export PKG_CONFIG_PATH LD_LIBRARY_PATH
[ "$(pkg-config --modversion vernier)" = "$release" ]
result $? 'pkg-config knows the release'
grep -q "define VERNIER_RELEASE \"$release\"" "$to/include/vernier/vernier.h" && grep -q "^## $release" CHANGELOG.md &&
    "$to/bin/vernier" --version | grep -q "^vernier $release"
result $? 'header, change log and program name the same release'

outside() { # NAME FLAGS...: the program compiled in a directory of its own, where no header of the repository is near
    name=$1
    shift
    mkdir -p "$t/out-side" && cp "tests/library/$name.c" "$t/out-side/" &&
        (cd "$t/out-side" && $CC -std=c17 -Wall -Wextra -Werror $(pkg-config --cflags vernier) "$name.c" "$@" -o "$name") >"$t/out" 2>"$t/err"
}
outside outside $(pkg-config --libs vernier)
result $? 'a program outside compiles with pkg-config alone'
quietly "$t/out-side/outside" tests/golden/torch/gpt2 "$t/map.svg" && grep -q '<svg' "$t/map.svg"
result $? 'it loads a checkpoint, trains LoRA for a step and draws attention'
quietly "$t/out-side/outside" "$t/nothing" "$t/map.svg"
[ $? = 3 ] && grep -q "$t/nothing" "$t/err"
result $? 'a missing checkpoint is told by its name'

outside method $(pkg-config --libs vernier) && quietly "$t/out-side/method"
result $? 'a program sees the methods of the shared library and its own'
outside method "$to/lib/libvernier.a" $(pkg-config --libs-only-other --static vernier) $private && quietly "$t/out-side/method"
result $? 'a program sees the methods of the static library and its own'

for library in "$to/lib/libvernier.so" "$to/lib/libvernier.a"; do
    case $library in *.so) names='nm -D' ;; *) names=nm ;; esac
    $names -g --defined-only "$library" 2>/dev/null | awk 'NF == 3 {sub(/@.*/, "", $3); print $3}' | sort -u >"$t/names"
    grep -qx model_load "$t/names" && ! grep -qx gemm_slices "$t/names" && ! grep -qE '^(hf|hub|repo|javagen)_' "$t/names"
    result $? "${library##*/} shows what its headers declare"
    # A bare word is not a library's to take.
    grep -vE '_' "$t/names" >"$t/out"
    [ ! -s "$t/out" ]
    result $? "${library##*/} takes no name without a prefix"
done

OUT=$build PREFIX=$to DESTDIR='' quietly packaging/uninstall
[ -z "$(find "$to" -type f -o -type l)" ] && [ ! -e "$to/include/vernier" ]
result $? 'nothing is left after make uninstall'
installer /usr "$t/stage" && grep -q '^prefix=/usr$' "$t/stage/usr/lib/pkgconfig/vernier.pc"
result $? 'with DESTDIR the files lie behind it and name PREFIX alone'
echo "1..$n"
