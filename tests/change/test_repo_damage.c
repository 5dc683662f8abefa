/* Damage of every kind all over a small repository: a byte changed, files cut, emptied, made longer, gone, and pipes
 * or directories in their place.  Each time a child reads everything there is.  It must end soon and by itself; and
 * its results must be those of the sound repository, or be reported as damaged, missing or refused.
 * VERNIER_MUTANTS sets how many are tried. */
#include "expect.h"

#include <dirent.h>
#include <signal.h>
#include <sys/wait.h>

#include "made_repo.h"

enum { MUTANTS = 300, PATIENCE = 20 /* seconds */, MOST_FILES = 64 };
enum { SAME, NOTICED, REFUSED, UNNOTICED }; /* how a child ends */

typedef struct {
    const char *path;
    Bytes bytes;
} File;
static File file[MOST_FILES];
static int n_files;

/* ---- a repository with loose objects, a pack with deltas, tags and packed references ---- */

static void list_files(const char *under)
{
    DIR *folder = opendir(under);
    assert_non_null(folder);
    for (struct dirent *e; (e = readdir(folder));) {
        if (e->d_name[0] == '.') continue;
        const char *path = str_print(&arena, "%s/%s", under, e->d_name);
        if (file_is_dir(path)) {
            list_files(path);
        } else {
            assert_true(n_files < MOST_FILES);
            assert_int_equal(file_read(&file[n_files].bytes, &arena, path), OK);
            file[n_files++].path = path;
        }
    }
    closedir(folder);
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const File *)a)->path, ((const File *)b)->path);
}

static void make_sound_one(void)
{
    git_packbuilder *pack;
    git_oid tree, id = {0};
    new_repo("sound");
    Buf text = buf_open(&arena);
    for (int i = 0; i < 60; i++) buf_print(&text, "int number_%d = %d;\n", i, i * i);
    ok(git_packbuilder_new(&pack, git));
    for (int i = 0; i < 10; i++) {
        buf_print(&text, "int later_%d;\n", i);
        git_oid blob_id = text_blob(text.text);
        tree = tree_of("a.c", blob_id);
        git_oid before = id;
        id = commit_of(tree, i ? &before : NULL, dated(i), "", str_print(&arena, "Add the line %d\n", i));
        if (i < 7) ok(git_packbuilder_insert_commit(pack, &id));
        if (i == 7) set_branch("refs/tags/seven", id);
    }
    ok(git_packbuilder_write(pack, NULL, 0, NULL, NULL));
    git_packbuilder_free(pack);
    write_in_git("refs/heads/main", str_print(&arena, "%s\n", hex(id)));
    write_in_git("HEAD", "ref: refs/heads/main\n");
    write_in_git("packed-refs",
                 str_print(&arena, "# pack-refs with: peeled fully-peeled sorted \n%s refs/tags/v1\n", hex(id)));
    list_files(str_print(&arena, "%s/.git", root));
    int n = 0;
    for (int i = 0; i < n_files; i++) { /* packed objects are no longer loose */
        bool hook = strstr(file[i].path, "/hooks/") || strstr(file[i].path, "/info/") || strstr(file[i].path, "desc");
        if (!hook) file[n++] = file[i];
    }
    n_files = n;
    qsort(file, (size_t)n_files, sizeof *file, by_path);
}

/* The loose copies of packed objects are removed, so that damage to the pack matters. */
static void remove_packed(void)
{
    git_odb *odb;
    git_odb_backend *packs;
    int n = 0;
    ok(git_odb_new(&odb));
    for (int i = 0; i < n_files; i++)
        if (strstr(file[i].path, ".idx")) {
            ok(git_odb_backend_one_pack(&packs, file[i].path));
            ok(git_odb_add_backend(odb, packs, 1));
        }
    for (int i = 0; i < n_files; i++) {
        git_oid id;
        const char *slash = strrchr(file[i].path, '/');
        bool loose = strlen(slash) == 39 && !git_oid_fromstr(&id, str_print(&arena, "%.2s%s", slash - 2, slash + 1));
        if (loose && git_odb_exists(odb, &id))
            unlink(file[i].path);
        else
            file[n++] = file[i];
    }
    n_files = n;
    git_odb_free(odb);
}

/* ---- reading everything ---- */

/* All results of the repository, as text, in `said`; false when something was not read and that was reported. */
static Status tell(Buf *said, bool *noticed)
{
    Repo *r;
    const RepoCommit *c;
    int64_t n, m, ignored = 0;
    TRY(repo_open(&r, &arena, root));
    Status s = repo_history(r, NULL, &c, &n);
    for (int64_t i = 0; !s && i < n; i++) {
        CodeChange change;
        RepoDelta *delta;
        if (!repo_describe(r, &arena, &c[i], &change, NULL, &ignored) || c[i].cut ||
            !repo_diff(r, &arena, &c[i], &delta, &m))
            continue;
        Buf one = buf_open(&arena);
        buf_print(&one, "%s %s %lld %s\n", change.id, change.author, (long long)change.time, change.message);
        bool whole = true;
        for (int64_t k = 0; k < m && whole; k++) {
            ChangeFile f;
            whole = !repo_lines(r, &arena, &delta[k], 1, 1 << 20, &f, &ignored);
            for (int64_t l = 0; whole && l < f.n; l++) buf_print(&one, "%d%s\n", (int)f.line[l].kind, f.line[l].text);
        }
        if (whole) buf_print(said, "%s", one.text);
        if (whole) buf_add(said, "\f", 1);
    }
    *noticed = repo_remark(r) != NULL || repo_about(r)->shallow || repo_about(r)->partial;
    repo_close(r);
    return s;
}

/* Every reported commit is one of the sound repository's, word for word. */
static bool is_part(const char *told, const char *whole)
{
    for (const char *s = told, *end; *s; s = end) {
        end = strchr(s, '\f') + 1;
        const char *at = memmem(whole, strlen(whole), s, (size_t)(end - s));
        if (!at || (at > whole && at[-1] != '\f')) return false;
    }
    return true;
}

static const char *sound;

static int look(void)
{
    bool noticed;
    Buf told = buf_open(&arena);
    if (tell(&told, &noticed)) return REFUSED;
    if (!is_part(told.text, sound)) return UNNOTICED;
    if (told.len == strlen(sound)) return SAME;
    return noticed ? NOTICED : UNNOTICED;
}

/* The child has its own address space: it can break nothing else. */
static int ending_of_child(void)
{
    int status;
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        alarm(PATIENCE);
        _exit(look());
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* ---- damage ---- */

static const char *const KINDS[] = {"a byte", "cut", "emptied", "longer", "zeros", "gone", "a directory", "a pipe"};
enum { BYTE, CUT, EMPTIED, LONGER, ZEROS, GONE, DIRECTORY, PIPE, DAMAGES };

static uint64_t drawn(uint64_t n, uint64_t bound)
{
    return bound ? rng_bits(7, n) % bound : 0;
}

static void damage(const File *f, int kind, uint64_t draw)
{
    size_t n = f->bytes.len, at = drawn(draw, n);
    char *s = str_copy(&arena, f->bytes.text, n + 3);
    chmod(f->path, 0644);
    unlink(f->path);
    if (kind == GONE) return;
    if (kind == DIRECTORY) assert_int_equal(mkdir(f->path, 0777), 0);
    if (kind == PIPE) assert_int_equal(mkfifo(f->path, 0666), 0);
    if (kind == DIRECTORY || kind == PIPE) return;
    if (kind == BYTE && n) s[at] = (char)((unsigned char)s[at] ^ (1 + drawn(draw + 1, 255)));
    if (kind == ZEROS) memset(s + at, 0, n - at < 64 ? n - at : 64);
    if (kind == LONGER) memcpy(s + n, "\1z\n", 3);
    n = kind == CUT ? at : kind == EMPTIED ? 0 : kind == LONGER ? n + 3 : n;
    assert_int_equal(file_write(f->path, s, n), OK);
}

static void mend(const File *f)
{
    if (file_is_dir(f->path))
        rmdir(f->path);
    else
        unlink(f->path);
    assert_int_equal(file_write(f->path, f->bytes.text, f->bytes.len), OK);
}

static void no_damage_is_passed_over(void **state)
{
    (void)state;
    bool noticed;
    const char *asked = getenv("VERNIER_MUTANTS");
    int mutants = asked ? atoi(asked) : MUTANTS, ends[UNNOTICED] = {0};
    make_sound_one();
    remove_packed();
    Buf told = buf_open(&arena);
    assert_int_equal(tell(&told, &noticed), OK);
    assert_false(noticed);
    sound = told.text;
    assert_int_equal(ending_of_child(), SAME);
    for (int i = 0; i < mutants; i++) {
        ArenaMark mark = arena_mark(&arena);
        const File *f = &file[drawn((uint64_t)i * 4, (uint64_t)n_files)];
        int kind = (int)drawn((uint64_t)i * 4 + 1, 2 * DAMAGES); /* bytes the most */
        if (kind >= DAMAGES) kind = BYTE;
        damage(f, kind, (uint64_t)i * 4 + 2);
        int end = ending_of_child();
        EXPECT(end >= 0 && end < UNNOTICED, "damage %d, %s: %s: the child %s %d", i, KINDS[kind], f->path,
               end < 0 ? "ended by signal" : "noticed nothing;", end < 0 ? -end : end);
        ends[end]++;
        mend(f);
        arena_drop(&arena, mark);
    }
    print_message("# %d damages: %d cost nothing, %d were reported, %d made the repository unreadable\n", mutants,
                  ends[SAME], ends[NOTICED], ends[REFUSED]);
    assert_true(ends[NOTICED] > mutants / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(no_damage_is_passed_over)};
    return cmocka_run_group_tests(tests, begin_repo, end_repo) != 0;
}
