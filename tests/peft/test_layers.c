/* Methods in some layers alone, and the output of the frozen layers below them, kept in memory or in a file: the same
 * bytes as without, whatever happens to the file. */
#include "tiny.h"

#include <dirent.h>
#include <fcntl.h>
#include <omp.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "nn/trunk.h"
#include "peft/layers.h"
#include "scratch.h"
#include "train/train.h"

/* ---- lists */

static bool has(const Model *m, const char *list, Part part, int layer)
{
    return layers_list_has(m, list, (Where){SITE_Q, layer, part});
}

static void lists_name_layers_of_stacks(void **state)
{
    (void)state;
    Config c = tiny_config(arch_find("t5"));
    Layers l;
    Arena a = arena_open((size_t)1 << 30);
    c.layers = 5, c.decoder_layers = 4;
    Model *m = open_stirred(&a, &c, F32);
    static const struct {
        const char *list, *encoder, *decoder;
    } WANT[] = {{"top:2", "00011", "0011"},
                {"bottom:3", "11100", "1110"},
                {"0,2-3", "10110", "1011"},
                {"all", "11111", "1111"},
                {"*", "11111", "1111"},
                {"encoder:top:1,decoder:0|2", "00001", "1010"},
                {"encoder:bottom:2", "11000", "0000"},
                {"bottom:1|top:1", "10001", "1001"}};
    for (size_t i = 0; i < sizeof WANT / sizeof *WANT; i++) {
        assert_int_equal(layers_read(&l, m, "layers", WANT[i].list), OK);
        for (int k = 0; k < 5; k++)
            EXPECT(has(m, WANT[i].list, PART_ENCODER, k) == (WANT[i].encoder[k] == '1'), "%s", WANT[i].list);
        for (int k = 0; k < 4; k++)
            EXPECT(has(m, WANT[i].list, PART_DECODER, k) == (WANT[i].decoder[k] == '1'), "%s", WANT[i].list);
        EXPECT(has(m, WANT[i].list, PART_CROSS, 3) == has(m, WANT[i].list, PART_DECODER, 3), "%s", WANT[i].list);
    }
    static const char *const WRONG[] = {"",          "top:0", "top:",     "top:5", "top:x",
                                        "bottom:-1", "4",     "middle:2", "1-",    "2-1"};
    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++)
        EXPECT(layers_read(&l, m, "layers", WRONG[i]) == E_CONFIG && strstr(err_message(), "layers: "), "'%s': %s",
               WRONG[i], err_message());
    err_clear();
    arena_close(&a);
}

/* ---- training */

enum { STEPS = 5, MODES = 3 };

typedef struct {
    Arenas a;
    Model *m;
    Hooks *hooks;
    Trainer *trainer;
} Run;

static Config deep_config(const Arch *arch)
{
    Config c = tiny_config(arch);
    c.layers = 3;
    c.dropout = c.attn_dropout = 0.1;
    return c;
}

/* The method in the top layer of each stack; false where it refuses the model. */
static bool open_run(Run *r, const Arch *arch, const Variant *v, const char *layers)
{
    const Config c = deep_config(arch);
    *r = (Run){.a = arenas()};
    r->m = open_stirred(&r->a.run, &c, F32);
    r->hooks = hooks_new(&r->a.run);
    PeftConfig cfg = variant_config(v, r->m);
    cfg.layers = layers;
    if (peft_attach(peft_find(v->method), r->m, r->hooks, &cfg)) return false;
    stir(r->m, "peft.*", 0.1, 7);
    TrainConfig t = train_defaults();
    t.total = STEPS;
    EXPECT(!trainer_open(&r->trainer, &r->a.run, r->m, r->hooks, &t), "%s: %s", v->name, err_message());
    return true;
}

static void close_run(Run *r)
{
    arenas_close(&r->a);
}

static TrunkCount train(Run *r, const TrunkPlan *plan)
{
    Trunk *trunk;
    EXPECT(!trunk_open(&trunk, &r->a.run, r->m, r->hooks, plan), "%s", err_message());
    Batch *x = tiny_batch(&r->a.run, r->m, true, false);
    while (r->trainer->step < STEPS) EXPECT(!trainer_step(r->trainer, &r->a.step, x, NULL), "%s", err_message());
    TrunkCount n = trunk_count(trunk);
    trunk_close(trunk);
    return n;
}

static bool same_parameters(const Run *a, const Run *b)
{
    bool same = true;
    for (int i = 0; i < params_n(a->m->params); i++) {
        const Tensor x = params_at(a->m->params, i)->val, y = params_at(b->m->params, i)->val;
        same &= tensor_bytes(x) == tensor_bytes(y) && !memcmp(x.data, y.data, tensor_bytes(x));
    }
    return same;
}

/* Nothing of the base outside the layers has moved, and something has. */
static void check_moved(const Run *r, const Arch *arch, const Variant *v)
{
    const Config c = deep_config(arch);
    Arena a = arena_open((size_t)1 << 30);
    Model *was = open_stirred(&a, &c, F32);
    bool moved = false;
    for (int i = 0; i < params_n(r->m->params); i++) {
        const Param *p = params_at(r->m->params, i), *before = param_find(was->params, p->name);
        if (!before) {
            EXPECT(!strncmp(p->name, "peft.", 5), "%s has %s", v->name, p->name);
            moved = true;
            continue;
        }
        bool changed = memcmp(p->val.data, before->val.data, tensor_bytes(p->val)) != 0;
        EXPECT(!changed || layers_list_holds(r->m, "top:1", p), "%s on %s: %s has moved", v->name, arch->name,
               p->name);
        moved |= changed;
    }
    EXPECT(moved, "%s on %s trains nothing", v->name, arch->name);
    arena_close(&a);
}

/* Every method and form on every architecture: the trunk is as deep as the layers are frozen, nothing else moves, and
 * training ends in the same bytes whether results are kept or not. */
static void every_method_trains_alike(void **state)
{
    (void)state;
    const TrunkKeep KEEP[MODES] = {TRUNK_OFF, TRUNK_MEMORY, TRUNK_FILE};
    Variant v[VARIANTS_MAX];
    int n = variants(v), trained = 0;
    for (const Arch *const *arch = arch_begin(); arch < arch_end(); arch++)
        for (int i = 0; i < n; i++) {
            Run run[MODES];
            bool there = open_run(&run[0], *arch, &v[i], "top:1");
            if (!there) err_clear();
            for (int k = 1; there && k < MODES; k++) there = open_run(&run[k], *arch, &v[i], "top:1");
            for (int k = 0; there && k < MODES; k++) {
                TrunkCount c = train(&run[k], &(TrunkPlan){.keep = KEEP[k], .shared = dir});
                int depth[PART_COUNT];
                trunk_depth(depth, run[k].m, run[k].hooks);
                EXPECT(depth[run[k].m->encoder ? PART_ENCODER : PART_DECODER] == 2, "%s on %s: %d frozen layers",
                       v[i].name, (*arch)->name, depth[0] + depth[1]);
                EXPECT(k ? c.computed <= TINY_B : c.computed == STEPS * TINY_B, "%s: %lld texts ran", v[i].name,
                       (long long)c.computed);
                EXPECT(!k || same_parameters(&run[0], &run[k]), "%s on %s differs with trunk cache %s", v[i].name,
                       (*arch)->name, TRUNK_KEEP[KEEP[k]]);
                trained++;
            }
            if (there) check_moved(&run[0], *arch, &v[i]);
            for (int k = 0; k < (there ? MODES : 1); k++) close_run(&run[k]);
        }
    EXPECT(trained > 200, "only %d runs", trained);
}

static void methods_without_layers_refuse(void **state)
{
    (void)state;
    static const Variant WITHOUT[] = {{"prompt", "prompt", NULL}, {"tokens", "tokens", NULL}};
    for (int i = 0; i < 2; i++) {
        Run r;
        assert_false(open_run(&r, arch_find("roberta"), &WITHOUT[i], "top:1"));
        EXPECT(strstr(err_message(), WITHOUT[i].name) && strstr(err_message(), "in front of all layers"), "%s",
               err_message());
        err_clear();
        close_run(&r);
    }
}

/* All parameters of the top layer, no other of the base, and the classification head. */
static void full_tuning_of_the_top_layer(void **state)
{
    (void)state;
    Config c = deep_config(arch_find("roberta"));
    Arena a = arena_open((size_t)1 << 30);
    c.classes = 2;
    Model *m = open_stirred(&a, &c, F32);
    PeftConfig cfg = {.layers = "top:1"};
    const Peft *full = peft_find("full");
    assert_int_equal(peft_attach(full, m, hooks_new(&a), &cfg), OK);
    for (int i = 0; i < params_n(m->params); i++) {
        const Param *p = params_at(m->params, i);
        bool want = strstr(p->name, "layer.2.") || !strncmp(p->name, "classifier.", 11);
        EXPECT(p->trainable == want, "%s %s", p->name, p->trainable ? "trains" : "is frozen");
    }
    assert_int_equal(full->count(m, &cfg), params_count(m->params, NULL, true) - peft_head_count(m));
    arena_close(&a);
}

/* ---- the file */

static const Variant LORA = {"lora", "lora", NULL};

/* Trains with the shared file, and compares with a run that keeps nothing. */
static TrunkCount with_file(const Run *want, const char *change)
{
    Run r;
    assert_true(open_run(&r, arch_find("roberta"), &LORA, "top:1"));
    if (change) tensor_set(param_find(r.m->params, change)->val, 5, 0.25);
    TrunkCount n = train(&r, &(TrunkPlan){.keep = TRUNK_FILE, .shared = dir});
    EXPECT(change || same_parameters(want, &r), "the shared file changes the result");
    close_run(&r);
    return n;
}

static const char *file_of(const char *ending)
{
    DIR *d = opendir(dir);
    const char *found = NULL;
    for (struct dirent *e; d && (e = readdir(d));)
        if (str_glob(str_print(&arena, "*%s", ending), e->d_name)) found = str_print(&arena, "%s/%s", dir, e->d_name);
    closedir(d);
    EXPECT(found, "no file *%s", ending);
    return found;
}

static void empty_dir(void)
{
    assert_int_equal(system(str_print(&arena, "rm -rf %s/*", dir)), 0);
}

static void damage(const char *path, off_t at, const char *bytes, size_t n)
{
    int fd = open(path, O_WRONLY);
    assert_true(fd >= 0 && pwrite(fd, bytes, n, at) == (ssize_t)n);
    close(fd);
}

static void reference(Run *r)
{
    assert_true(open_run(r, arch_find("roberta"), &LORA, "top:1"));
    train(r, &(TrunkPlan){.keep = TRUNK_OFF});
}

static void a_file_is_found_damaged_and_foreign(void **state)
{
    (void)state;
    Run want;
    empty_dir();
    reference(&want);
    assert_int_equal(with_file(&want, NULL).computed, TINY_B);
    assert_int_equal(with_file(&want, NULL).computed, 0); /* found by the next process */
    /* one text's bytes */
    damage(file_of(".data"), 9, "\x01\x02\x03\x04", 4);
    assert_int_equal(with_file(&want, NULL).computed, 1);
    assert_int_equal(with_file(&want, NULL).computed, 0); /* it was written again */
    /* the index */
    damage(file_of(".index"), 30, "xxxx", 4);
    assert_int_equal(with_file(&want, NULL).computed, TINY_B);
    assert_int_equal(with_file(&want, NULL).computed, 0);
    assert_int_equal(truncate(file_of(".index"), 40), 0);
    assert_int_equal(with_file(&want, NULL).computed, TINY_B);
    /* the data are shorter than the index says */
    DIR *d = opendir(dir);
    for (struct dirent *e; (e = readdir(d));)
        if (str_glob("*.data", e->d_name))
            assert_int_equal(truncate(str_print(&arena, "%s/%s", dir, e->d_name), 8), 0);
    closedir(d);
    assert_int_equal(with_file(&want, NULL).computed, TINY_B);
    close_run(&want);
}

/* Weights below the top layer make another key; those of the top layer, and the head's, do not. */
static void weights_make_the_key(void **state)
{
    (void)state;
    empty_dir();
    assert_int_equal(with_file(NULL, "encoder.layer.0.output.dense.weight").computed, TINY_B);
    assert_int_equal(with_file(NULL, "encoder.layer.0.output.dense.weight").computed, 0);
    assert_int_equal(with_file(NULL, "embeddings.word_embeddings.weight").computed, TINY_B);
    assert_int_equal(with_file(NULL, "encoder.layer.1.output.dense.weight").computed, TINY_B);
    assert_int_equal(with_file(NULL, "encoder.layer.2.output.dense.weight").computed, TINY_B);
    assert_int_equal(with_file(NULL, "encoder.layer.2.attention.self.key.weight").computed, 0);
}

/* Texts, and their lengths, are told apart; padding is not looked at. */
static void texts_are_told_apart(void **state)
{
    (void)state;
    Run r;
    Trunk *trunk;
    assert_true(open_run(&r, arch_find("roberta"), &LORA, "top:1"));
    assert_int_equal(trunk_open(&trunk, &r.a.run, r.m, r.hooks, &(TrunkPlan){.keep = TRUNK_MEMORY}), OK);
    static const struct {
        int32_t ids[4], len;
        int64_t computed;
    } SEEN[] = {
        {{5, 6, 7, 8}, 4, 1}, {{5, 6, 7, 8}, 4, 1}, {{5, 6, 7, 9}, 4, 2}, {{5, 6, 7, 8}, 3, 3}, {{5, 6, 7, 1}, 3, 3}};
    for (size_t i = 0; i < sizeof SEEN / sizeof *SEEN; i++) {
        const Batch x = {.b = 1, .t = 4, .ids = SEEN[i].ids, .len = &SEEN[i].len};
        Pass p = {.tape = tape_open(&r.a.step, false), .hooks = r.hooks};
        model_hidden(r.m, &p, &x);
        assert_int_equal(trunk_count(trunk).computed, SEEN[i].computed);
    }
    trunk_close(trunk);
    close_run(&r);
}

/* The key of a text is all that it sees: rows with maps of their own come out as without a trunk. */
static void a_row_sees_by_its_own_map(void **state)
{
    (void)state;
    enum { N = 2, LONG = 4 };
    static const int32_t ids[N * LONG] = {5, 6, 7, 8, 5, 6, 7, 8};
    uint8_t sees[N * LONG * LONG];
    for (int i = 0; i < N * LONG * LONG; i++) sees[i] = i < LONG * LONG || i % LONG <= i / LONG % LONG;
    const Batch x = {.b = N, .t = LONG, .ids = ids, .sees = sees};
    Run r;
    Trunk *trunk;
    assert_true(open_run(&r, arch_find("roberta"), &LORA, "top:1"));
    Tensor want = logits_of(&r.a, r.m, r.hooks, &x);
    assert_int_equal(trunk_open(&trunk, &r.a.run, r.m, r.hooks, &(TrunkPlan){.keep = TRUNK_MEMORY}), OK);
    for (int i = 0; i < 2; i++) EXPECT_NEAR(logits_of(&r.a, r.m, r.hooks, &x), want, 1e-4);
    assert_int_equal(trunk_count(trunk).computed, N);
    trunk_close(trunk);
    close_run(&r);
}

/* Four processes at once, of which the first one is killed in the middle of its work again and again. */
static void processes_share_a_file(void **state)
{
    (void)state;
    Run want;
    empty_dir();
    reference(&want);
    for (int round = 0; round < 3; round++) {
        pid_t child[4];
        for (int i = 0; i < 4; i++)
            if (!(child[i] = fork())) {
                Run r;
                bool good = open_run(&r, arch_find("roberta"), &LORA, "top:1");
                if (good) train(&r, &(TrunkPlan){.keep = TRUNK_FILE, .shared = dir});
                _exit(good && same_parameters(&want, &r) ? 0 : 1);
            }
        usleep(500);
        kill(child[0], SIGKILL);
        for (int i = 0; i < 4; i++) {
            int status;
            waitpid(child[i], &status, 0);
            EXPECT(!i || (WIFEXITED(status) && !WEXITSTATUS(status)), "process %d of round %d: status %x", i, round,
                   (unsigned)status);
        }
    }
    assert_int_equal(with_file(&want, NULL).computed, 0);
    close_run(&want);
}

static int remarks;
static void count_remark(const char *line, void *user)
{
    (void)line, (void)user;
    remarks++;
}

/* A disk that is full ends the keeping with one remark, and not the run. */
static void a_full_disk_ends_the_keeping(void **state)
{
    (void)state;
    Run want;
    empty_dir();
    reference(&want);
    struct rlimit was, none = {16, RLIM_INFINITY};
    getrlimit(RLIMIT_FSIZE, &was);
    none.rlim_max = was.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    for (int file = 0; file < 2; file++) {
        Run r;
        assert_true(open_run(&r, arch_find("roberta"), &LORA, "top:1"));
        remarks = 0;
        setrlimit(RLIMIT_FSIZE, &none);
        TrunkPlan plan = {
            .keep = file ? TRUNK_FILE : TRUNK_AUTO, .memory = 64, .scratch = dir, .shared = dir, .say = count_remark};
        TrunkCount n = train(&r, &plan);
        setrlimit(RLIMIT_FSIZE, &was);
        EXPECT(n.computed == STEPS * TINY_B && remarks == 1, "%lld texts, %d remarks", (long long)n.computed,
               remarks);
        EXPECT(same_parameters(&want, &r), "a full disk changes the result");
        close_run(&r);
    }
    signal(SIGXFSZ, SIG_DFL);
    close_run(&want);
}

/* Beyond the memory's limit results go to a file that has no name. */
static void memory_overflows_into_a_file(void **state)
{
    (void)state;
    Run want;
    empty_dir();
    reference(&want);
    for (int auto_ = 0; auto_ < 2; auto_++) {
        Run r;
        assert_true(open_run(&r, arch_find("roberta"), &LORA, "top:1"));
        TrunkCount n =
            train(&r, &(TrunkPlan){.keep = auto_ ? TRUNK_AUTO : TRUNK_MEMORY, .memory = 300, .scratch = dir});
        EXPECT(n.computed == (auto_ ? TINY_B : TINY_B + STEPS - 1), "%lld texts ran", (long long)n.computed);
        EXPECT(same_parameters(&want, &r), "the limit changes the result");
        EXPECT(!rmdir(dir) && !mkdir(dir, 0700), "a file was left");
        close_run(&r);
    }
    close_run(&want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(lists_name_layers_of_stacks),
                                       cmocka_unit_test(every_method_trains_alike),
                                       cmocka_unit_test(methods_without_layers_refuse),
                                       cmocka_unit_test(full_tuning_of_the_top_layer),
                                       cmocka_unit_test(a_file_is_found_damaged_and_foreign),
                                       cmocka_unit_test(weights_make_the_key),
                                       cmocka_unit_test(texts_are_told_apart),
                                       cmocka_unit_test(a_row_sees_by_its_own_map),
                                       cmocka_unit_test(processes_share_a_file),
                                       cmocka_unit_test(a_full_disk_ends_the_keeping),
                                       cmocka_unit_test(memory_overflows_into_a_file)};
    return cmocka_run_group_tests(tests, begin, end) != 0;
}
