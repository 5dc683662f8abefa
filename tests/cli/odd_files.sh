# A named pipe, a socket, a device or a directory where git keeps a file is refused at once, with its path; nothing is
# waited for and nothing read without end.  TAP on stdout.
. tests/cli/tap
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1
if ! command -v git >/dev/null; then
    echo "ok 1 - odd files # SKIP no git"
    echo "1..1"
    exit
fi
three_commits && git -C "$t/r" worktree add -q "$t/w" && git -C "$t/r" pack-refs --all && git -C "$t/r" tag loose
cp -r "$t/r" "$t/sound" && cp -r "$t/w" "$t/sound_w"
ask() { timeout 5 "$VERNIER" data mine "$@" --min-words 0 --out "$t/o.jsonl" --overwrite; }
expect 0 '3 +records' 'the repository as it is' "$t/r"
expect 0 '3 +records' '... and its second worktree' "$t/w"

# odd KIND PATH: makes one there
odd() {
    rm -rf "$2" && mkdir -p "$(dirname "$2")"
    case $1 in
    pipe) mkfifo "$2" ;;
    device) ln -s /dev/zero "$2" ;;
    directory) mkdir "$2" ;;
    *) python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$2" 2>/dev/null ;;
    esac
}
sound() { rm -rf "$t/r" "$t/w" && cp -r "$t/sound" "$t/r" && cp -r "$t/sound_w" "$t/w"; }
refused() { # KIND FILE NAME WORDS...
    kind=$1 file=$2 name=$3
    shift 3
    odd "$kind" "$file" || { echo "ok $((n += 1)) - $name # SKIP no $kind" && return; }
    expect 3 "^vernier: $file: is a (named pipe|device|directory|socket), expected a file of a git repository" "$name" "$@"
    [ "$(grep -c . "$t/err")" = 1 ] || { echo "not ok $((n += 1)) - $name: one sentence" && cat "$t/err"; }
    sound
}
for kind in pipe device directory socket; do
    for file in HEAD config packed-refs shallow info/grafts commondir objects/info/alternates index; do
        refused $kind "$t/r/.git/$file" "a $kind is .git/$file" "$t/r"
    done
    for file in HEAD commondir gitdir; do
        refused $kind "$t/r/.git/worktrees/w/$file" "a $kind is worktrees/w/$file" "$t/w"
    done
done
main=$(git -C "$t/r" symbolic-ref HEAD)
for kind in pipe device; do
    for file in "$main" refs/tags/x refs/replace/x refs/heads/a/b/c logs/HEAD FETCH_HEAD; do
        refused $kind "$t/r/.git/$file" "a $kind is .git/$file" "$t/r"
    done
    refused $kind "$t/r/.git" "a $kind is .git" "$t/r"
    refused $kind "$t/r/refs.pipe" "a $kind in the place of a repository" "$t/r/refs.pipe"
    for section in '[include]' '[includeIf "gitdir:/**"]' '[ include ]' '[Include] path = more.config #'; do
        printf '%s\n\tpath = "more.config" ; and on\n' "$section" >>"$t/r/.git/config"
        refused $kind "$t/r/.git/more.config" "a $kind is what $section names" "$t/r"
    done
done
git clone -q --bare "$t/r" "$t/b.git"
for file in HEAD config packed-refs; do
    cp -r "$t/b.git" "$t/c.git" && refused pipe "$t/c.git/$file" "a pipe is $file of a bare repository" "$t/c.git"
    rm -rf "$t/c.git"
done

# files that git itself keeps there, and files that are not read, are accepted
odd socket "$t/r/.git/fsmonitor--daemon.ipc"
expect 0 '3 +records' "a socket of git's own" "$t/r"
odd pipe "$t/r/.mailmap"
expect 0 '3 +records' 'a pipe is .mailmap in the worktree, which is not read' "$t/r"
sound
object=$t/r/.git/objects/$(git -C "$t/r" rev-parse HEAD:A.java | sed 's|^..|&/|')
odd pipe "$object"
expect 0 'objects of|2 +records' 'a pipe is an object: it is damaged' "$t/r"
grep -q 'is damaged (git fsck): it is not a regular file' "$t/err"
result $? '... which is told'
sound
mkdir "$t/plain" && mkfifo "$t/plain/config"
expect 3 'expected a git repository' 'a directory with a pipe that is no repository' "$t/plain"
expect 0 '3 +records' 'as it was' "$t/r"
echo "1..$n"
