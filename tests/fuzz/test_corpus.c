/* The corpora of the fuzzers, each file fed to its target: inputs that once broke a reader do not break it again. */
#include "expect.h"

#include <dirent.h>

#include "fuzz/adapter.c"
#include "fuzz/chat.c"
#include "fuzz/config.c"
#include "fuzz/gguf.c"
#include "fuzz/generation.c"
#include "fuzz/json.c"
#include "fuzz/npy.c"
#include "fuzz/safetensors.c"
#include "fuzz/spm.c"
#include "fuzz/tokenizer.c"
#include "fuzz/wordpiece.c"
#include "fuzz/declared.c"
#include "fuzz/torch.c"
#include "fuzz/zip.c"

static void replay(const char *name, void (*target)(const char *, size_t))
{
    Arena a = arena_open((size_t)1 << 28);
    const char *dir = str_print(&a, "tests/fuzz/corpus/%s", name);
    DIR *d = opendir(dir);
    EXPECT(d, "there is no %s", dir);
    int files = 0;
    for (const struct dirent *e; (e = readdir(d));) {
        Bytes file;
        if (e->d_name[0] == '.') continue;
        EXPECT(!file_read(&file, &a, str_print(&a, "%s/%s", dir, e->d_name)), "%s", err_message());
        target(file.text, file.len);
        files++;
    }
    closedir(d);
    EXPECT(files >= 2, "%s holds %d files", dir, files);
    arena_close(&a);
}

#define REPLAY(name)                                                                                                 \
    static void replay_##name(void **state)                                                                          \
    {                                                                                                                \
        (void)state;                                                                                                 \
        replay(#name, fuzz_##name);                                                                                  \
    }
REPLAY(adapter)
REPLAY(chat)
REPLAY(config)
REPLAY(gguf)
REPLAY(generation)
REPLAY(json)
REPLAY(npy)
REPLAY(safetensors)
REPLAY(spm)
REPLAY(tokenizer)
REPLAY(declared)
REPLAY(wordpiece)
REPLAY(torch)
REPLAY(zip)

SUITE(cmocka_unit_test(replay_adapter), cmocka_unit_test(replay_chat), cmocka_unit_test(replay_config),
      cmocka_unit_test(replay_gguf), cmocka_unit_test(replay_generation), cmocka_unit_test(replay_json),
      cmocka_unit_test(replay_npy), cmocka_unit_test(replay_safetensors), cmocka_unit_test(replay_spm),
      cmocka_unit_test(replay_tokenizer), cmocka_unit_test(replay_declared), cmocka_unit_test(replay_wordpiece),
      cmocka_unit_test(replay_torch), cmocka_unit_test(replay_zip))
