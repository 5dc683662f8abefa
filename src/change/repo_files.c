/* Every path where git keeps a file must be a file.  libgit2 opens whatever has the right name: it would wait for a
 * named pipe, and read a device without end.  So everything that it may open is checked first: the files of known
 * names, all references and their logs, and the files that the configuration includes.  Objects are no part of this:
 * objects.h opens them, each after a look. */
#include <fts.h>
#include <string.h>
#include <sys/stat.h>

#include "base/str.h"
#include "change/repo_parts.h"

enum { MOST_INCLUDED = 10 }; /* of configurations that include others; libgit2's limit */

static const char *kind_of(mode_t mode)
{
    return S_ISFIFO(mode) ? "a named pipe" : S_ISSOCK(mode) ? "a socket" : S_ISDIR(mode) ? "a directory" : "a device";
}

static Status not_a_file(const char *path, mode_t mode)
{
    return err_fail(E_FORMAT, "%s: is %s, expected a file of a git repository", path, kind_of(mode));
}

/* A file, or nothing at all. */
static Status expect_file(const char *path)
{
    struct stat st;
    return stat(path, &st) || S_ISREG(st.st_mode) ? OK : not_a_file(path, st.st_mode);
}

/* The text of a file; NULL when there is none. */
static Status read_text(const char **out, Arena *a, const char *path)
{
    struct stat st;
    Bytes file;
    *out = NULL;
    if (stat(path, &st)) return OK;
    TRY(expect_file(path));
    TRY(file_map(&file, path));
    *out = str_copy(a, file.text ? file.text : "", file.len);
    file_unmap(file);
    return OK;
}

/* A path in a file of `folder`, resolved there, without the end of its line. */
static const char *path_from(Arena *a, const char *folder, const char *text)
{
    int n = (int)strcspn(text, "\r\n");
    return *text == '/' ? str_print(a, "%.*s", n, text) : str_print(a, "%s/%.*s", folder, n, text);
}

/* ---- references and all else ---- */

static int by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

/* Directories with an inside of their own: objects, and the repositories of submodules. */
static bool is_apart(const FTSENT *e)
{
    static const char *const NAME[] = {"objects", "modules", "lfs"};
    for (size_t i = 0; i < sizeof NAME / sizeof *NAME; i++)
        if (e->fts_level == 1 && e->fts_info == FTS_D && !strcmp(e->fts_name, NAME[i])) return true;
    return false;
}

/* Whatever a reference's name may lead to.  A socket cannot be opened and so is harmless; git has some of its own. */
static Status expect_no_pipes(const char *folder)
{
    Status s = OK;
    char *const list[] = {(char *)(uintptr_t)folder, NULL};
    FTS *walk = fts_open(list, FTS_LOGICAL | FTS_NOCHDIR, by_name);
    for (FTSENT *e; walk && !s && (e = fts_read(walk));) {
        if (is_apart(e)) fts_set(walk, e, FTS_SKIP);
        if (e->fts_info == FTS_DEFAULT && !S_ISSOCK(e->fts_statp->st_mode))
            s = not_a_file(e->fts_path, e->fts_statp->st_mode);
    }
    if (walk) fts_close(walk);
    return s;
}

/* ---- the configuration ---- */

/* Whether a line begins a section whose files are included, whatever their condition is. */
static bool is_include(const char *line)
{
    size_t n = strcspn(line + 1, " \t]\"");
    return (n == 7 && !strncasecmp(line + 1, "include", n)) || (n == 9 && !strncasecmp(line + 1, "includeif", n));
}

/* The value of "path = VALUE", without quotation marks and a remark; NULL: the line is another one. */
static const char *included(Arena *a, const char *line)
{
    line += strspn(line, " \t");
    size_t key = strcspn(line, " \t=");
    if (key != 4 || strncasecmp(line, "path", key)) return NULL;
    line += key + strspn(line + key, " \t");
    if (*line != '=') return NULL;
    Buf b = buf_open(a);
    bool quoted = false;
    for (line += 1 + strspn(line + 1, " \t"); *line && (quoted || !strchr("#;", *line)); line++) {
        if (*line == '"') quoted = !quoted;
        if (*line == '\\' && line[1]) line++;
        if (*line != '"') buf_add(&b, line, 1);
    }
    while (b.len && strchr(" \t\r", b.text[b.len - 1])) b.text[--b.len] = 0;
    return b.text;
}

/* A configuration and its included files.  libgit2 reads included files while it parses, so they are found here. */
static Status check_config(Arena *a, const char *path, int depth)
{
    const char *text, *value;
    char *rest;
    bool inside = false;
    TRY(read_text(&text, a, path));
    if (!text || depth == MOST_INCLUDED) return OK;
    char *copy = str_copy(a, text, strlen(text));
    for (char *line = strtok_r(copy, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        line += strspn(line, " \t");
        char *end = *line == '[' ? strrchr(line, ']') : NULL;
        if (end) inside = is_include(line);
        if (end) line = end + 1;
        if (inside && (value = included(a, line)) && *value && *value != '~')
            TRY(check_config(a, path_from(a, file_folder(a, path), value), depth + 1));
    }
    return OK;
}

/* ---- a repository ---- */

static Status check_folder(Arena *a, const char *folder)
{
    static const char *const FILES[] = {"HEAD",  "commondir", "gitdir",      "packed-refs",
                                        "index", "shallow",   "info/grafts", "objects/info/alternates"};
    static const char *const CONFIGS[] = {"config", "config.worktree"};
    for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++)
        TRY(expect_file(str_print(a, "%s/%s", folder, FILES[i])));
    for (size_t i = 0; i < sizeof CONFIGS / sizeof *CONFIGS; i++)
        TRY(check_config(a, str_print(a, "%s/%s", folder, CONFIGS[i]), 0));
    return expect_no_pipes(folder);
}

/* Whether libgit2 would take a directory for the inside of a repository. */
static bool is_inside(Arena *a, const char *folder)
{
    struct stat st;
    return !stat(str_print(a, "%s/HEAD", folder), &st) &&
           (file_is_dir(str_print(a, "%s/objects", folder)) || !stat(str_print(a, "%s/commondir", folder), &st));
}

/* The inside of the repository at a path: PATH/.git, which may be a file that names it, or the path itself. */
static Status find_inside(Arena *a, const char *path, const char **out)
{
    static const char NAMES[] = "gitdir: ";
    const char *text, *git = str_print(a, "%s/.git", path);
    struct stat st;
    *out = NULL;
    bool within = !stat(git, &st);
    if (!within) git = path;
    if (!within && stat(git, &st)) return OK; /* nothing is there */
    if (S_ISDIR(st.st_mode)) {
        if (within || is_inside(a, git)) *out = git;
        return OK;
    }
    TRY(read_text(&text, a, git));
    if (text && !strncmp(text, NAMES, sizeof NAMES - 1))
        *out = path_from(a, file_folder(a, git), text + sizeof NAMES - 1);
    return OK;
}

Status repo_check_files(Arena *a, const char *path)
{
    const char *inside, *common;
    TRY(find_inside(a, path, &inside));
    if (!inside) return OK;
    TRY(check_folder(a, inside));
    TRY(read_text(&common, a, str_print(a, "%s/commondir", inside)));
    return common ? check_folder(a, path_from(a, inside, common)) : OK;
}
