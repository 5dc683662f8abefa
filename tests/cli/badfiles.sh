# Weight files made wrong on purpose, each answered with its own sentence and exit code 3.  TAP on stdout.
: "${VERNIER:=build/release/vernier}"
t=$(mktemp -d) || exit 1
trap 'rm -rf "$t"' EXIT
n=0
refused() { # name, file, what the answer says
    "$VERNIER" model list "$t/$2" >"$t/out" 2>"$t/err"
    got=$?
    n=$((n + 1))
    if [ $got = 3 ] && grep -Eq -- "$3" "$t/err" && grep -q "$2" "$t/err"; then echo "ok $n - $1"; else
        echo "not ok $n - $1 (exit $got)"
        sed 's/^/# /' "$t/out" "$t/err" | head -n 5
    fi
}
little() { # number, bytes: little-endian
    x=$1 k=$2
    while [ "$k" -gt 0 ]; do
        printf "\\$(printf %03o $((x & 255)))"
        x=$((x >> 8)) k=$((k - 1))
    done
}

# ---- safetensors: a header of N bytes, then data
header() { # header, bytes of data
    { little "$(printf %s "$1" | wc -c)" 8; printf %s "$1"; head -c "$2" /dev/zero; } >"$t/bad.safetensors"
}
entry() { # dtype, shape, begin, end
    printf '{"dtype":"%s","shape":%s,"data_offsets":[%s,%s]}' "$@"
}
bad() { # name, header, bytes of data, what the answer says
    header "$2" "$3"
    refused "$1" bad.safetensors "$4"
}
two=$(entry F32 '[2]' 0 8)
printf '1234567' >"$t/bad.safetensors"
refused 'a file of seven bytes' bad.safetensors '7 bytes, a safetensors file has at least 8'
: >"$t/bad.safetensors"
refused 'an empty file' bad.safetensors 'is empty'
{ little 4611686018427387904 8; printf '{}'; } >"$t/bad.safetensors"
refused 'a header of 2^62 bytes' bad.safetensors 'claims 4611686018427387904 bytes, at most 100000000'
{ printf '\377\377\377\377\377\377\377\377{}'; } >"$t/bad.safetensors"
refused 'a header whose size overflows' bad.safetensors 'claims 18446744073709551615 bytes'
{ little 50 8; printf '{}'; } >"$t/bad.safetensors"
refused 'a header beyond the file' bad.safetensors 'claims 50 bytes, but only 2 follow'
{ little 0 8; printf '{}'; } >"$t/bad.safetensors"
refused 'no header' bad.safetensors "does not begin with '\{'"
bad 'a header that is a list' '[]' 0 "does not begin with '\{'"
bad 'a header that is no JSON' '{"a":' 0 'this is not JSON'
header "$(printf '{"\377":1}')" 0
refused 'a header that is not UTF-8' bad.safetensors 'not UTF-8'
bad 'a name twice' "{\"a\":$two,\"a\":$(entry F32 '[2]' 8 16)}" 16 "tensor 'a' appears twice"
bad 'metadata with a number' '{"__metadata__":{"step":1}}' 0 "__metadata__ 'step' is not a string"
bad 'metadata twice' '{"__metadata__":{},"__metadata__":{}}' 0 '__metadata__ appears twice'
bad 'tensors that overlap' "{\"a\":$two,\"b\":$(entry F32 '[2]' 4 12)}" 12 "'b' begins at byte 4 .*overlap"
bad 'a hole between tensors' "{\"a\":$two,\"b\":$(entry F32 '[2]' 12 20)}" 20 "'b' begins at byte 12 .*a hole"
bad 'a hole in front' "{\"a\":$(entry F32 '[2]' 4 12)}" 12 "'a' begins at byte 4 .*a hole"
bad 'bytes behind the last tensor' "{\"a\":$two}" 9 '1 bytes follow the last tensor'
bad 'data that are cut' "{\"a\":$two}" 7 "'a' lies at \[0, 8\], the data has 7 bytes"
bad 'a shape of another size' "{\"a\":$(entry F32 '[3]' 0 8)}" 8 'of shape \[3\] and dtype F32 is given 8 bytes'
bad 'a shape whose product overflows' "{\"a\":$(entry F32 '[4294967296,4294967296]' 0 8)}" 8 'product exceeds 64 bits'
bad 'a negative dimension' "{\"a\":$(entry F32 '[-2]' 0 8)}" 8 'dimension 0 is not a whole number'
bad 'offsets in reverse' "{\"a\":$(entry F32 '[2]' 8 0)}" 8 'lies at \[8, 0\]'
bad 'a dtype that is not read' "{\"a\":$(entry F8_E4M3 '[2]' 0 2)}" 2 "dtype 'F8_E4M3'"
bad 'nine dimensions' "{\"a\":$(entry F32 '[1,1,1,1,1,1,1,1,1]' 0 4)}" 4 'more than 8 dimensions'

# ---- a failed download in the place of a file, in either container, of a shard or of config.json
downloads() { # a file's name
    printf 'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n' >"$t/$1"
    refused "a git-lfs pointer as $1" "$1" 'is a git-lfs pointer'
    printf '\n <!DOCTYPE html>\n<html><title>404</title></html>' >"$t/$1"
    refused "an HTML page as $1" "$1" 'is an HTML page'
    printf '<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>' >"$t/$1"
    refused "an XML message as $1" "$1" 'is an XML message'
    printf '{"error": "Repository not found"}' >"$t/$1"
    refused "a JSON message as $1" "$1" 'is a message in JSON'
    printf '\211HDF\r\n\032\n0000000000' >"$t/$1"
    refused "an HDF5 file as $1" "$1" 'is an HDF5 file'
    : >"$t/$1"
    refused "an empty $1" "$1" 'is empty'
}
downloads bad.safetensors
downloads pytorch_model.bin
# A header of 0x227b or 0x0280 bytes begins as JSON or as a pickle does, and is neither.
for size in 8827 640; do
    { little $size 8; printf '{%*s}' $((size - 2)) ''; } >"$t/sound.safetensors"
    n=$((n + 1))
    if "$VERNIER" model list "$t/sound.safetensors" >"$t/out" 2>&1; then echo "ok $n - a header of $size bytes"
    else echo "not ok $n - a header of $size bytes: $(cat "$t/out")"; fi
done
folder() { # a file's name, what the answer says: of a directory that holds it and no other weights
    rm -rf "$t/other" && mkdir "$t/other" && printf x >"$t/other/$1"
    refused "a directory of $1" other "neither model.safetensors nor .*$2"
}
folder tf_model.h5 'tf_model.h5 holds weights of TensorFlow'
folder flax_model.msgpack 'flax_model.msgpack holds weights of Flax'
folder model.fp16.safetensors 'model.fp16.safetensors is a variant'
folder adapter_model.safetensors 'adapter_model.safetensors holds an adapter'
folder README.md 'nor a .gguf$'

# ---- an index of shards
mkdir "$t/shards"
index() { printf '{"weight_map":%s}' "$1" >"$t/shards/model.safetensors.index.json"; }
index '{"a":"../up.safetensors"}'
refused 'a shard outside the directory' shards "names no file beside it"
index '{"a":"one.safetensors"}'
refused 'a shard that is not there' shards 'one.safetensors: No such file'
header "{\"b\":$two}" 8
cp "$t/bad.safetensors" "$t/shards/one.safetensors"
refused 'a tensor that its shard lacks' shards "lists tensor 'a', which one.safetensors does not hold"

index '{"b":"one.safetensors","c":"two.safetensors"}'
{ little "$(printf %s "{\"b\":$two,\"c\":$(entry F32 '[1]' 8 12)}" | wc -c)" 8
  printf %s "{\"b\":$two,\"c\":$(entry F32 '[1]' 8 12)}"; printf '12345678abcd'; } >"$t/shards/two.safetensors"
refused 'a tensor with two values in two shards' shards "'b' has another value in"
printf 'version https://git-lfs.github.com/spec/v1\n' >"$t/shards/two.safetensors"
refused 'a git-lfs pointer as a shard' shards 'two.safetensors: is a git-lfs pointer'

# ---- files of torch.save: a zip of a pickle and its storages
begin() { : >"$t/body" && : >"$t/central" && entries=0; }
add() { # name, file, method, flags
    size=$(wc -c <"$2") at=$(wc -c <"$t/body") len=$(printf %s "$1" | wc -c)
    { printf 'PK\3\4'; little 0 14; little "$size" 4; little "$size" 4; little "$len" 2; little 0 2
      printf %s "$1"; cat "$2"; } >>"$t/body"
    { printf 'PK\1\2'; little 0 4; little "${4:-0}" 2; little "${3:-0}" 2; little 0 8; little "$size" 4
      little "$size" 4; little "$len" 2; little 0 12; little "$at" 4; printf %s "$1"; } >>"$t/central"
    entries=$((entries + 1))
}
finish() {
    { cat "$t/body" "$t/central"; printf 'PK\5\6'; little 0 4; little $entries 2; little $entries 2
      little "$(wc -c <"$t/central")" 4; little "$(wc -c <"$t/body")" 4; little 0 2; } >"$t/bad.bin"
}
bytes() { printf "$1" >"$t/part"; } # as printf spells them
tensor() { # key, elements of the storage, offset, rows, stride: of w (rows x 2)
    printf '\200\2ccollections\nOrderedDict\n)R(X\1\0\0\0wctorch._utils\n_rebuild_tensor_v2\n'
    printf '((X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0%sX\3\0\0\0cpuK' "$1"
    little "$2" 1
    printf 'tQ%bK' "$3"
    little "$4" 1
    printf 'K\2\206K'
    little "$5" 1
    printf 'K\1\206\211ccollections\nOrderedDict\n)RtRu.'
}
torch() { # name, what the answer says: of the pickle in part
    begin
    add m/data.pkl "$t/part"
    head -c 16 /dev/zero >"$t/zeros"
    add m/data/7 "$t/zeros"
    finish
    refused "$1" bad.bin "$2"
}
tensor 7 4 'K\0000' 2 2 >"$t/part"
begin
add m/data.pkl "$t/part"
head -c 16 /dev/zero >"$t/zeros"
add m/data/7 "$t/zeros"
finish
n=$((n + 1)) # the writer above is right: without a fault the file is read
if "$VERNIER" model list "$t/bad.bin" | grep -q '^F32 *\[2, 2\] *w$'; then echo "ok $n - a sound file"; else echo "not ok $n - a sound file"; fi
head -c 200 "$t/bad.bin" >"$t/cut.bin"
refused 'a zip that is cut' cut.bin 'without its directory'
tensor 9 4 'K\0000' 2 2 >"$t/part" && torch 'a storage that is not there' "'w' lies in storage 9, which the file lacks"
tensor 7 9 'K\0000' 2 2 >"$t/part" && torch 'a storage that is too short' 'storage 7 has 16 bytes; 9 elements of 4'
tensor 7 4 'K\0000' 3 2 >"$t/part" && torch 'a view beyond its storage' "'w' of shape \[3, 2\] reaches beyond its storage"
tensor 7 4 'K\0001' 2 2 >"$t/part" && torch 'an offset beyond the storage' 'reaches beyond its storage'
tensor 7 4 'J\0377\0377\0377\0377' 2 2 >"$t/part" && torch 'a negative offset' 'no list of up to 8 whole numbers'
bytes '\200\2cos\nsystem\nX\2\0\0\0id\205R.' && torch 'a global that runs a command' 'os\.system'
bytes '\200\4\214\2os\214\6system\223.' && torch 'the same of protocol 4' 'os\.system'
bytes '\200\2cargparse\nNamespace\n)\201.' && torch 'an object of a class' 'argparse\.Namespace'
bytes '\200\2}X\5\0\0\0modelcnumpy\ndtype\n)Rs.' && torch 'a number of numpy and no tensor' 'no dict of named tensors'
bytes '\200\2cnumpy\nload\n)R.' && torch 'another function of numpy' 'numpy\.load'
printf '\200\2}q\0.' >"$t/bare.bin" && refused 'a pickle alone' bare.bin 'is a pickle that torch.save did not write'
bytes '\200\2i.' && torch 'an opcode that is not read' 'byte 2: opcode 0x69'
bytes '\200\2h\7.' && torch 'a memo entry that was never made' 'memo entry 7'
bytes '\200\2R.' && torch 'an empty stack' 'stack is empty'
bytes '\200\2}' && torch 'a pickle without its end' 'cut at byte'
bytes '\200\2X\377\377\377\177a.' && torch 'a string beyond the pickle' 'cut at byte'
bytes '\200\2}.' && torch 'a dict of no tensors' 'no dict of named tensors'
bytes x
begin && add m/other "$t/part" && finish && refused 'a zip without data.pkl' bad.bin 'without data.pkl'
begin && add m/data.pkl "$t/part" 8 && finish && refused 'a compressed entry' bad.bin 'm/data.pkl is compressed'
begin && add m/data.pkl "$t/part" 0 1 && finish && refused 'an encrypted entry' bad.bin 'm/data.pkl is encrypted'
begin && add m/../data.pkl "$t/part" && finish && refused 'a name that leaves the archive' bad.bin 'unsafe name'
begin && add m/data.pkl "$t/part" && add m/data.pkl "$t/part" && finish && refused 'an entry twice' bad.bin 'entry m/data.pkl twice'
bytes big && mv "$t/part" "$t/big" && bytes x
begin && add m/data.pkl "$t/part" && add m/byteorder "$t/big" && finish && refused 'big-endian values' bad.bin 'big-endian'
{ head -c 257 /dev/zero; printf 'ustar\0'; head -c 300 /dev/zero; } >"$t/bad.bin"
refused 'a tar archive of old' bad.bin 'tar'
{ printf '\200\2\212\12l\374\234F\371 j\250P\31.\200\2M\351\3.'; } >"$t/bad.bin"
refused 'a stream that is cut' bad.bin 'cut at byte'
{ printf '\200\2\212\12l\374\234F\371 j\250P\31.\200\2M\351\3.\200\2}.\200\2cos\nsystem\n).'; } >"$t/bad.bin"
refused 'a global in a stream' bad.bin 'os\.system'
echo "1..$n"
