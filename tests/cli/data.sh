# vernier data: mining a repository, probing sets, datasheets, and what is said about bad input.  TAP on stdout.
. tests/cli/tap
ask() { "$VERNIER" data "$@"; }

expect 2 'of .data.; expected mine, make or sheet' 'an unknown verb' dig
expect 2 'operand' 'no verb'
expect 2 'expected typ, ccm, ltp or changes' 'an unknown set' make xyz --out "$t/x"
expect 2 'needs --out FILE' 'make without --out' make typ
expect 2 'expected three counts' 'sizes that are none' make typ --sizes 600,200 --out "$t/x"
expect 2 'counts must be' 'odd sizes' make typ --sizes 7,2,2 --out "$t/x"
expect 2 'expected one of clean, study' 'an unknown recipe' make typ --recipe best --out "$t/x"
expect 2 '--balance is for make ltp' 'an option of another set' make typ --balance --out "$t/x"
expect 2 'do not apply to' 'the study has one fault' make typ --recipe study --fault type --out "$t/x"
expect 2 'expected 0 to 2' 'a difficulty out of range' make changes --difficulty 3 --out "$t/x"
expect 2 'needs --task' 'a sheet of what?' sheet "$t/x"
expect 3 'No such file' 'a file that is not there' make ccm --from "$t/none" --out "$t/x"
printf '{"id": "1", "files": []}\n{"id": 2}\n' >"$t/bad.jsonl"
expect 3 'bad.jsonl:2: id is not a string' 'a bad row, by its line' make ccm --from "$t/bad.jsonl" --out "$t/x"
printf '{"id": "1", "files": []}\n' >"$t/few.jsonl"
expect 3 '0 of 1000 rows can be made from 0 usable changes' 'too few changes' make ccm --from "$t/few.jsonl" --out "$t/x"
[ ! -e "$t/x" ] && [ ! -e "$t/x.vernier.part" ]
result $? 'none of these wrote anything'

expect 0 '600 synthetic changes' 'synthetic changes' make changes --n 600 --seed 4 --out "$t/c.jsonl"
[ "$(wc -l <"$t/c.jsonl")" = 600 ] && grep -q '"kind": "rename"' "$t/c.jsonl"
result $? '... as many as asked for'
for set in typ ccm ltp; do
    expect 0 '50\.0 +50\.0 +50\.0   the training' "$set from them" \
        make $set --from "$t/c.jsonl" --sizes 60,20,20 --out "$t/$set.txt"
    [ "$(cut -f1 "$t/$set.txt" | sort | uniq -c | tr -d '\n ')" = 20te60tr20va ]
    result $? '... of the sizes asked for'
    grep -q '"subjects_in_several_splits": 0,' "$t/$set.txt.sheet.json" && [ -s "$t/$set.txt.sheet.txt" ]
    result $? '... with a datasheet that names no leak'
    "$VERNIER" data sheet "$t/$set.txt" --task $set --json >"$t/out" 2>"$t/err" &&
        cmp -s "$t/out" "$t/$set.txt.sheet.json"
    result $? '... which sheet makes again'
done
expect 3 'no row is labelled ORIG' 'a sheet of another task' sheet "$t/ccm.txt" --task typ
expect 0 'synthetic' 'without files, synthetic changes and a remark' make ltp --balance --sizes 40,10,10 --out "$t/l.txt"

expect 2 'mine takes one PATH' 'mine without a path' mine --out "$t/x"
expect 2 'needs --out FILE' 'mine without --out' mine "$t"
expect 3 'expected a git repository' 'a directory that is no repository' mine "$t" --out "$t/x"
expect 2 "'cobol' is not one of java, c, cpp" 'an unknown language' mine "$t" --lang java,cobol --out "$t/x"
expect 2 'expected a day' 'a day that is none' mine "$t" --since yesterday --out "$t/x"
if ! command -v git >/dev/null; then
    echo "ok $((n += 1)) - mining # SKIP no git"
    
# outputs: an existing file is replaced on request alone, and never by half of another
digest() { cksum <"$1"; }
before=$(digest "$t/m.jsonl")
expect 0 '6 +records' 'the same once more' mine "$t/r" --out "$t/m.jsonl"
expect 2 'm.jsonl exists and holds something else; --overwrite replaces it' 'another content' \
    mine "$t/r" --whole-message --out "$t/m.jsonl"
expect 2 'exists and holds something else' 'less of the same' mine "$t/r" --range HEAD~2..HEAD --out "$t/m.jsonl"
[ "$before" = "$(digest "$t/m.jsonl")" ] && [ -z "$(find "$t" -name '*.part' -o -name '*.state')" ]
result $? '... leaves the file and nothing beside it'
expect 0 '2 +records' 'with --overwrite' mine "$t/r" --range HEAD~2..HEAD --overwrite --out "$t/m.jsonl"
expect 2 'both --from and --out' 'where from and where to' make ltp --from "$t/x.jsonl" --out "$t/x.jsonl"
: >"$t/empty"
expect 0 '3 synthetic' 'an empty file holds nothing' make changes --n 3 --out "$t/empty"
ln -s target.jsonl "$t/link"
expect 0 '3 synthetic' 'a link to a file that is not there yet' make changes --n 3 --out "$t/link"
[ -L "$t/link" ] && cmp -s "$t/target.jsonl" "$t/empty"
result $? '... stays a link'
expect 0 '4 synthetic' '... and again' make changes --n 4 --overwrite --out "$t/link"
[ -L "$t/link" ] && [ "$(wc -l <"$t/target.jsonl")" = 4 ]
result $? '... to the new content'
expect 3 'No such file' 'a directory that is not there' make changes --out "$t/none/x"
expect 0 '' 'a probing set' make ltp --quiet --out "$t/ltp.txt"
expect 2 'exists and holds something else' 'a sheet of another set' make ltp --quiet --seed 2 --out "$t/ltp.txt"
mkdir "$t/full" && { mount -t tmpfs -o size=64k tmpfs "$t/full" 2>/dev/null || rmdir "$t/full"; }
if [ -d "$t/full" ]; then
    expect 3 'No space left' 'a full disk' make changes --n 2000 --out "$t/full/x"
    [ -z "$(ls -A "$t/full")" ]
    result $? '... keeps no part of it'
    umount "$t/full"
fi
echo "1..$n"
    exit
fi
G="git -C $t/r -c user.name=Ann -c user.email=ann@x.org"
git init -q "$t/r" && mkdir "$t/r/src"
expect 3 'has no commits' 'an empty repository' mine "$t/r" --out "$t/x"
i=0
while [ $i -lt 6 ]; do
    i=$((i + 1))
    printf 'int f%s() { return %s; }\n' $i $i >>"$t/r/src/a.c"
    $G add . && $G commit -q -m "Add the function f$i" --date="2020-01-0${i}T00:00:00Z"
done
# what the repository says must not be obeyed
printf '#!/bin/sh\ntouch %s/ran\n' "$t" >"$t/r/.git/hooks/post-checkout" && chmod +x "$t/r/.git/hooks/post-checkout"
$G config diff.external "touch $t/ran" && $G config core.fsmonitor "touch $t/ran"
printf '*.c binary diff=evil\n' >"$t/r/.git/info/attributes" && $G config diff.evil.textconv "touch $t/ran"
expect 0 '6 +records' 'a worktree' mine "$t/r" --out "$t/m.jsonl"
[ "$(grep -c '"status": "modified".*"+int f' "$t/m.jsonl")" = 5 ] && [ ! -e "$t/ran" ]
result $? '... with its lines, and nothing of it was run'
git clone -q --bare "$t/r" "$t/b.git"
expect 0 '"written": 6' 'a bare one, summary as JSON' mine "$t/b.git" --repo r --json --out "$t/b.jsonl"
cmp -s "$t/m.jsonl" "$t/b.jsonl"
result $? '... gives the same records'
git clone -q --depth 3 "file://$t/r" "$t/s"
expect 0 'shallow clone' 'a shallow one says what it lacks' mine "$t/s" --out "$t/s.jsonl"
grep -q '1  left out: parent not there' "$t/out" && [ "$(wc -l <"$t/s.jsonl")" = 2 ]
result $? '... and leaves out the commit whose parent is not there'
expect 0 '2 +records' 'a range' mine "$t/r" --range HEAD~2..HEAD --features --out "$t/x.jsonl"
[ "$(grep -c '"nuc": [45],' "$t/x.jsonl")" = 2 ]
result $? '... whose measures know what came before it'
expect 2 'has no commit' 'a range of nothing' mine "$t/r" --range HEAD~99..HEAD --out "$t/x"
expect 0 'records in' 'nothing to resume: the same records stay' mine "$t/r" --resume --out "$t/m.jsonl"
expect 2 'exists and holds something else' '... and other ones are not taken for them' mine "$t/r" --resume --min-words 0 --features --out "$t/m.jsonl"
echo foo >"$t/foreign.jsonl"
expect 2 'exists and holds something else' '... nor is a file of another origin' mine "$t/r" --resume --out "$t/foreign.jsonl"
expect 0 '6 +records' 'a pipe' mine "$t/r" --out /dev/null
# however git stores the same objects, the same is read
"$VERNIER" data mine "$t/r" --repo r --features --out "$t/whole.jsonl" >"$t/out" 2>"$t/err"
same_as_whole() { # NAME PATH
    "$VERNIER" data mine "$2" --repo r --features --out "$t/other.jsonl" >"$t/out" 2>"$t/err"
    cmp -s "$t/whole.jsonl" "$t/other.jsonl" && [ ! -s "$t/err" ]
    result $? "$1"
    rm -f "$t/other.jsonl"
}
git clone -q --shared "$t/r" "$t/shared" && same_as_whole 'a clone that borrows its objects' "$t/shared"
git clone -q --shared "$t/shared" "$t/twice" && same_as_whole '... at second hand, too' "$t/twice"
git clone -q "$t/r" "$t/gc" && git -C "$t/gc" config core.commitGraph true && git -C "$t/gc" gc -q --aggressive &&
    git -C "$t/gc" multi-pack-index write 2>"$t/err" && git -C "$t/gc" commit-graph write 2>"$t/err"
same_as_whole 'a packed one with a multi-pack index and a commit graph' "$t/gc"
git clone -q "$t/r" "$t/old" && git -C "$t/old" config pack.indexVersion 1 && git -C "$t/old" repack -q -a -d -F
same_as_whole 'an index of version 1' "$t/old"
$G worktree add -q "$t/linked" && same_as_whole 'a linked worktree' "$t/linked"

# damage
loose() { # REPOSITORY NAME: the file of an object
    id=$(git -C "$1" rev-parse "$2")
    echo "$1/.git/objects/$(echo "$id" | cut -c1-2)/$(echo "$id" | cut -c3-)"
}
expect_damage() { # CODE PATTERN NAME REVISION: the object is cut short
    rm -rf "$t/d" "$t/d.jsonl"
    cp -r "$t/r" "$t/d"
    f=$(loose "$t/d" "$4") && chmod u+w "$f" && head -c 20 "$f" >"$t/cut" && cat "$t/cut" >"$f"
    expect "$1" "$2" "$3" mine "$t/d" --features --out "$t/d.jsonl"
}
expect_damage 3 "HEAD.*object [0-9a-f]{40} is damaged \(git fsck\)" 'a damaged tip' HEAD
expect_damage 0 'object [0-9a-f]{40} is damaged \(git fsck\): ' 'a damaged commit is named' HEAD~3
grep -q 'shallow' "$t/out" "$t/err"
[ $? = 1 ] && [ "$(wc -l <"$t/d.jsonl")" = 2 ]
result $? '... what comes after its child is written, and nothing is called shallow'
expect_damage 0 '2  left out: objects missing or damaged' 'damaged contents' HEAD~3:src/a.c
[ "$(wc -l <"$t/d.jsonl")" = 4 ]
result $? '... cost the two commits that need them'
expect_damage 0 '1  left out: objects missing or damaged' 'a damaged tree' HEAD:src
expect 3 'no record is written' '... and nothing else in the range' mine "$t/d" --range HEAD~1..HEAD --out "$t/x"
rm -rf "$t/d" && git clone -q "$t/r" "$t/d" && git -C "$t/d" gc -q
pack=$(ls "$t/d/.git/objects/pack/"*.pack) && chmod u+w "$pack" && truncate -s -9 "$pack"
expect 3 'pack .* is damaged \(git fsck\) and left out' 'a pack that is cut short' mine "$t/d" --out "$t/x"
rm -rf "$t/d" && git clone -q "$t/r" "$t/d" && git -C "$t/d" pack-refs --all &&
    printf '# pack-refs with: peeled\n0123456789' >"$t/d/.git/packed-refs"
expect 3 'HEAD leads to .*packed-refs' 'packed references cut short' mine "$t/d" --out "$t/x"
git -C "$t/r" config uploadpack.allowFilter true
git clone -q --no-checkout --filter=blob:none "file://$t/r" "$t/p" 2>"$t/err" && git -C "$t/p" config remote.origin.url "$t/none"
expect 3 'partial clone' 'a partial clone without any file' mine "$t/p" --features --quiet --out "$t/x"
if git init -q --object-format=sha256 "$t/sha" 2>"$t/err"; then
    expect 3 'SHA-256' 'ids of SHA-256' mine "$t/sha" --out "$t/x"
else
    echo "ok $((n += 1)) - ids of SHA-256 # SKIP git is too old"
fi
echo "1..$n"
