/* Directories that one command fills: whatever happens, a former result and a stranger's file stay. */
#include "expect.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
#include "run/folder.h"
#include "scratch.h"

static const char *out;

static int setup(void **state)
{
    err_clear();
    int status = begin(state);
    out = str_print(&arena, "%s/out", dir);
    return status;
}

static const char *in(const char *name)
{
    return str_print(&arena, "%s/%s", out, name);
}

static void put(const char *path, const char *text)
{
    assert_int_equal(
        file_make_dir(file_folder(&arena, str_print(&arena, "%.*s", (int)(strrchr(path, '/') - path), path))), OK);
    assert_int_equal(file_write(path, text, strlen(text)), OK);
}

static bool there(const char *name)
{
    return !access(in(name), F_OK);
}

static bool holds(const char *name, const char *text)
{
    Bytes b;
    bool same = !file_read(&b, &arena, in(name)) && !strcmp(b.text, text);
    err_clear();
    return same;
}

static Status open_with(Folder *f, const char *lr, bool overwrite)
{
    err_clear();
    *f = folder_begin(&arena, out, "test");
    folder_set(f, "lr", "%s", lr);
    folder_set(f, "seed", "%d", 1);
    return folder_open(f, overwrite);
}

static void fill(Folder *f, const char *text)
{
    put(str_print(&arena, "%s/result.txt", f->path), text);
    put(str_print(&arena, "%s/figures/%s.svg", f->path, text), text);
}

/* A result of the learning rate `lr` whose files name it. */
static void make(const char *lr, bool overwrite)
{
    Folder f;
    assert_int_equal(open_with(&f, lr, overwrite), OK);
    assert_false(f.done);
    fill(&f, lr);
    assert_int_equal(folder_finish(&f, NULL), OK);
    assert_string_equal(f.path, out);
}

static void a_result_is_made_once(void **state)
{
    (void)state;
    Folder f;
    make("0.1", false);
    assert_true(holds("result.txt", "0.1") && holds("figures/0.1.svg", "0.1"));
    assert_true(!there("unfinished") && !there(".lock"));
    assert_int_equal(open_with(&f, "0.1", false), OK);
    assert_true(f.done);
    assert_string_equal(f.path, out);
}

static void other_settings_are_named(void **state)
{
    (void)state;
    Folder f;
    make("0.1", false);
    assert_int_equal(open_with(&f, "0.2", false), E_CONFIG);
    assert_non_null(strstr(err_message(), "lr: there 0.1, now 0.2"));
    assert_null(strstr(err_message(), "seed"));
    err_clear();
    f = folder_begin(&arena, out, "another");
    assert_int_equal(folder_open(&f, false), E_CONFIG);
    assert_non_null(strstr(err_message(), "command: there test, now another"));
    assert_true(holds("result.txt", "0.1") && !there(".lock"));
}

static void a_former_result_stays_until_the_new_one_is_complete(void **state)
{
    (void)state;
    Folder f;
    make("0.1", false);
    put(in("figures/mine.svg"), "a stranger's");
    assert_int_equal(open_with(&f, "0.2", true), OK);
    fill(&f, "0.2");
    assert_true(holds("result.txt", "0.1") && there("figures/0.1.svg"));
    err_fail(E_INTERRUPT, "stopped");
    assert_int_equal(folder_leave(&f, E_INTERRUPT, NULL), E_INTERRUPT);
    assert_true(holds("result.txt", "0.1") && there("figures/0.1.svg") && !there(".lock"));

    assert_int_equal(open_with(&f, "0.1", false), OK); /* the former result is still one */
    assert_true(f.done);
    assert_int_equal(open_with(&f, "0.3", false), E_CONFIG);
    assert_non_null(strstr(err_message(), "lr: there 0.2, now 0.3"));

    assert_int_equal(open_with(&f, "0.2", false), OK);
    assert_true(f.resumed);
    assert_int_equal(folder_finish(&f, NULL), OK);
    assert_true(holds("result.txt", "0.2") && !there("figures/0.1.svg") && there("figures/0.2.svg"));
    assert_true(holds("figures/mine.svg", "a stranger's"));
}

static void strangers_are_refused_by_name(void **state)
{
    (void)state;
    Folder f;
    put(in("figures/paper.svg"), "mine");
    for (int overwrite = 0; overwrite < 2; overwrite++) {
        assert_int_equal(open_with(&f, "0.1", overwrite), E_CONFIG);
        assert_non_null(strstr(err_message(), "figures/paper.svg"));
    }
    assert_true(holds("figures/paper.svg", "mine") && !there(".lock") && !there("unfinished"));
}

static void a_stranger_in_the_way_is_not_replaced(void **state)
{
    (void)state;
    Folder f;
    make("0.1", false);
    put(in("figures/0.2.svg"), "mine");
    assert_int_equal(open_with(&f, "0.2", true), OK);
    fill(&f, "0.2");
    assert_int_equal(folder_finish(&f, NULL), E_MISMATCH);
    assert_non_null(strstr(err_message(), "figures/0.2.svg"));
    assert_true(holds("figures/0.2.svg", "mine") && holds("result.txt", "0.1"));
    unlink(in("figures/0.2.svg"));
    assert_int_equal(open_with(&f, "0.2", false), OK); /* the move is completed */
    assert_true(f.done && holds("result.txt", "0.2") && holds("figures/0.2.svg", "0.2"));
}

/* Moving up is killed after each of its steps in turn; the next command completes it. */
static void a_killed_move_is_completed(void **state)
{
    (void)state;
    static const char *const GOES[] = {"figures/0.2.svg", "result.txt", NULL};
    for (int steps = 0; steps < 3; steps++) {
        Folder f;
        make("0.1", steps > 0);
        assert_int_equal(open_with(&f, "0.2", true), OK);
        fill(&f, "0.2");
        put(in("figures/0.2.svg"), "in the way, so that the move stops before it begins");
        assert_int_equal(folder_finish(&f, NULL), E_MISMATCH);
        unlink(in("figures/0.2.svg"));
        for (int i = 0; i < steps; i++)
            assert_int_equal(rename(in(str_print(&arena, "unfinished/%s", GOES[i])), in(GOES[i])), 0);
        assert_int_equal(open_with(&f, "0.2", false), OK);
        assert_true(f.done && holds("result.txt", "0.2") && holds("figures/0.2.svg", "0.2"));
        assert_true(!there("figures/0.1.svg") && !there("unfinished"));
    }
}

/* Killed when the manifest was moved, and nothing but the directory of the work was left to remove. */
static void an_empty_directory_of_work_goes(void **state)
{
    (void)state;
    Folder f;
    make("0.1", false);
    assert_int_equal(file_make_dir(in("unfinished/figures")), OK);
    put(in(".lock"), "");
    assert_int_equal(open_with(&f, "0.1", false), OK);
    assert_true(f.done && !there("unfinished") && !there(".lock"));
    put(in("unfinished/mine.txt"), "mine");
    assert_int_equal(open_with(&f, "0.1", false), OK);
    assert_true(f.done && holds("unfinished/mine.txt", "mine"));
}

/* Killed when the work was done and before all of it was moved, and one of its files is altered or lost meanwhile:
 * that is work to be done again, and no file of the former result goes into it. */
static void work_that_is_done_and_damaged_is_taken_up(void **state)
{
    (void)state;
    static const char *const FILES[] = {"result.txt", "figures/0.2.svg"};
    for (int i = 0; i < 2; i++)
        for (int how = 0; how < 3; how++) {
            Folder f;
            make("0.1", i + how > 0);
            assert_int_equal(open_with(&f, "0.2", true), OK);
            fill(&f, "0.2");
            put(in("figures/0.2.svg"), "in the way, so that the move stops before it begins");
            assert_int_equal(folder_finish(&f, NULL), E_MISMATCH);
            unlink(in("figures/0.2.svg"));
            const char *file = in(str_print(&arena, "unfinished/%s", FILES[i]));
            if (how == 0) unlink(file);
            if (how == 1) put(file, "0.7");
            if (how == 2) put(file, "");
            assert_int_equal(open_with(&f, "0.2", false), OK);
            assert_true(f.resumed && !f.done && holds("result.txt", "0.1"));
            fill(&f, "0.2");
            assert_int_equal(folder_finish(&f, NULL), OK);
            assert_true(holds("result.txt", "0.2") && holds("figures/0.2.svg", "0.2") && !there("unfinished"));
        }
}

/* What the command names so lies beside the result until that is moved, and goes with the work. */
static void scratch_files_are_no_result(void **state)
{
    (void)state;
    Folder f;
    Bytes b;
    assert_int_equal(open_with(&f, "0.1", false), OK);
    f.scratch = "train-*.bin|state";
    fill(&f, "0.1");
    put(str_print(&arena, "%s/train-7.bin", f.path), "x");
    put(str_print(&arena, "%s/state", f.path), "x");
    assert_int_equal(folder_finish(&f, NULL), OK);
    assert_true(holds("result.txt", "0.1") && !there("state") && !there("train-7.bin") && !there("unfinished"));
    assert_int_equal(file_read(&b, &arena, in("manifest.json")), OK);
    assert_null(strstr(b.text, "train-7"));
}

static void a_result_that_is_not_done_is_taken_up(void **state)
{
    (void)state;
    Folder f;
    Bytes b;
    make("0.1", false);
    assert_int_equal(file_read(&b, &arena, in("manifest.json")), OK);
    char *word = strstr(b.text, "\"done\"");
    memcpy(word, "\"gone\"", 6);
    assert_int_equal(file_write(in("manifest.json"), b.text, b.len), OK);
    assert_int_equal(open_with(&f, "0.1", false), OK);
    assert_true(f.resumed && !f.done && holds("unfinished/result.txt", "0.1") && !there("result.txt"));
    assert_int_equal(folder_finish(&f, NULL), OK);
    assert_true(holds("result.txt", "0.1") && holds("figures/0.1.svg", "0.1") && !there("unfinished"));
}

static void a_damaged_manifest_is_one_sentence(void **state)
{
    (void)state;
    static const char *const BAD[] = {
        "[]",
        "{}",
        "{\"command\":\"test\",\"status\":\"done\",\"settings\":{},\"files\":3}",
        "{\"command\":\"test\",\"status\":\"done\",\"settings\":{\"lr\":1},\"files\":[]}",
        "{\"command\":\"test\",\"status\":\"x\",\"settings\":{},\"files\":[\"../../x\"]}",
        "{\"command\":\"test\",\"status\":\"x\",\"settings\":{},\"files\":[\"/etc/passwd\"]}"};
    Folder f;
    make("0.1", false);
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
        for (int overwrite = 0; overwrite < 2; overwrite++) {
            put(in("manifest.json"), BAD[i]);
            assert_int_equal(open_with(&f, "0.1", overwrite), E_FORMAT);
            EXPECT(strstr(err_message(), "out/manifest.json"), "%s", err_message());
            assert_true(holds("result.txt", "0.1") && !there("unfinished") && !there(".lock"));
        }
}

/* A manifest of this program that is cut at any place is made anew by --overwrite; nothing else is lost by that. */
static void a_cut_manifest_is_overwritten(void **state)
{
    (void)state;
    static const double SHARE[] = {0, 0.01, 0.1, 0.5, 0.99};
    Bytes b;
    Folder f;
    for (size_t i = 0; i < sizeof SHARE / sizeof *SHARE; i++) {
        make("0.1", i > 0);
        put(in("figures/mine.svg"), "mine");
        assert_int_equal(file_read(&b, &arena, in("manifest.json")), OK);
        assert_int_equal(file_write(in("manifest.json"), b.text, (size_t)(SHARE[i] * (double)b.len)), OK);
        assert_int_equal(open_with(&f, "0.1", false), E_FORMAT);
        EXPECT(strstr(err_message(), "out/manifest.json") && strstr(err_message(), "--overwrite"), "%s",
               err_message());
        assert_true(holds("result.txt", "0.1") && !there("unfinished") && !there(".lock"));
        assert_int_equal(open_with(&f, "0.2", true), OK);
        fill(&f, "0.2");
        folder_leave(&f, E_INTERRUPT, NULL);
        assert_true(holds("result.txt", "0.1"));
        assert_int_equal(open_with(&f, "0.2", false), OK);
        assert_true(f.resumed);
        assert_int_equal(folder_finish(&f, NULL), OK);
        assert_true(holds("result.txt", "0.2") && holds("figures/mine.svg", "mine"));
        assert_int_equal(open_with(&f, "0.2", false), OK);
        assert_true(f.done);
        unlink(in("figures/0.1.svg"));
    }
    assert_int_equal(open_with(&f, "0.3", true), OK);
    folder_leave(&f, E_INTERRUPT, NULL);
    put(in("unfinished/manifest.json"), "{");
    assert_int_equal(open_with(&f, "0.3", false), E_FORMAT);
    assert_non_null(strstr(err_message(), "--overwrite"));
    assert_int_equal(open_with(&f, "0.3", true), OK);
    folder_drop(&f, OK);
}

/* One file of a result is removed, altered in place, cut, or replaced by a link to the same. */
static void a_result_is_done_only_as_it_was_written(void **state)
{
    (void)state;
    static const char *const FILES[] = {"result.txt", "figures/0.1.svg"};
    const char *elsewhere = str_print(&arena, "%s/elsewhere", dir);
    Folder f;
    put(elsewhere, "0.1");
    for (int i = 0; i < 2; i++)
        for (int how = 0; how < 4; how++) {
            make("0.1", i + how > 0);
            if (how % 3 == 0) unlink(in(FILES[i]));
            if (how == 1) put(in(FILES[i]), "0.7");
            if (how == 2) put(in(FILES[i]), "0.");
            if (how == 3) assert_int_equal(symlink(elsewhere, in(FILES[i])), 0);
            assert_int_equal(open_with(&f, "0.1", false), E_FORMAT);
            assert_false(f.done);
            const char *said = str_print(
                &arena, "out contains a finished result, but %s is missing or altered; --overwrite", in(FILES[i]));
            EXPECT(strstr(err_message(), said), "%s", err_message());
            assert_true(!there(".lock") && !there("unfinished"));
        }
}

/* A manifest that lists paths alone: only missing files show. */
static void a_manifest_without_hashes_is_read(void **state)
{
    (void)state;
    Folder f;
    Bytes b;
    make("0.1", false);
    assert_int_equal(file_read(&b, &arena, in("manifest.json")), OK);
    const char *list = strstr(b.text, "\"files\"");
    put(in("manifest.json"),
        str_print(&arena, "%.*s\"files\": [\"result.txt\", \"figures/0.1.svg\"]}", (int)(list - b.text), b.text));
    put(in("result.txt"), "altered");
    assert_int_equal(open_with(&f, "0.1", false), OK);
    assert_true(f.done);
    unlink(in("result.txt"));
    assert_int_equal(open_with(&f, "0.1", false), E_FORMAT);
    assert_non_null(strstr(err_message(), "result.txt is missing"));
}

static void nothing_is_left_of_what_was_dropped(void **state)
{
    (void)state;
    Folder f;
    assert_int_equal(open_with(&f, "0.1", false), OK);
    fill(&f, "0.1");
    assert_int_equal(folder_drop(&f, E_FORMAT), E_FORMAT);
    assert_int_not_equal(access(out, F_OK), 0);
    make("0.1", false);
    assert_int_equal(open_with(&f, "0.2", true), OK);
    assert_int_equal(folder_drop(&f, E_FORMAT), E_FORMAT);
    assert_true(holds("result.txt", "0.1") && !there("unfinished"));
}

/* The exit code of a second process that opens the directory now. */
static int second_process(void)
{
    pid_t pid = fork();
    if (!pid) {
        Folder f;
        Status s = open_with(&f, "0.1", false);
        const char *said = str_print(&arena, "in use by process %d on ", (int)getppid());
        _exit(s && !strstr(err_message(), said) ? 99 : (int)s);
    }
    int how = 0;
    waitpid(pid, &how, 0);
    return WIFEXITED(how) ? WEXITSTATUS(how) : -1;
}

static void two_processes_do_not_share_a_directory(void **state)
{
    (void)state;
    Folder f;
    assert_int_equal(open_with(&f, "0.1", false), OK);
    assert_int_equal(second_process(), E_IO);
    folder_leave(&f, E_INTERRUPT, NULL);
    assert_int_equal(second_process(), OK); /* it ends without unlocking: a lock of a dead process */
    assert_true(there(".lock"));
    assert_int_equal(open_with(&f, "0.1", false), OK);
    assert_true(f.resumed);
    folder_leave(&f, E_INTERRUPT, NULL);
}

/* A process is killed while its job waits for the disk, where no signal ends it: the job has the lock until then. */
static void jobs_of_a_killed_process_are_waited_for(void **state)
{
    (void)state;
    Folder f;
    int ends[2];
    char byte;
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (!pid) {
        if (open_with(&f, "0.1", false)) _exit(1);
        if (fork()) _exit(0); /* as if killed: nothing is unlocked */
        usleep(400000);
        (void)!write(ends[1], "x", 1);
        _exit(0);
    }
    int how = 0;
    waitpid(pid, &how, 0);
    assert_true(WIFEXITED(how) && !WEXITSTATUS(how) && there(".lock"));
    assert_int_equal(open_with(&f, "0.1", false), OK);
    assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(read(ends[0], &byte, 1), 1); /* it had ended */
    close(ends[0]);
    close(ends[1]);
    folder_leave(&f, E_INTERRUPT, NULL);
}

static void a_lock_of_another_host_is_named(void **state)
{
    (void)state;
    Folder f;
    put(in(".lock"), "12 far.away.example\n");
    assert_int_equal(open_with(&f, "0.1", false), E_IO);
    assert_non_null(strstr(err_message(), "in use by process 12 on far.away.example"));
    assert_non_null(strstr(err_message(), "delete"));
    unlink(in(".lock"));
    assert_int_equal(open_with(&f, "0.1", false), OK);
    folder_drop(&f, OK);
}

/* A `.lock` that is not the program's own stays as it is, and a link's target, too. */
static void a_foreign_lock_is_kept(void **state)
{
    (void)state;
    static const char *const TEXT[] = {"my notes", "12 monkeys and more\n", "12 host", "\n", "-1 host\n"};
    const char *target = str_print(&arena, "%s/foreign", dir), *link_to = str_print(&arena, "%s/out/.lock", dir);
    Folder f;
    for (size_t i = 0; i < sizeof TEXT / sizeof *TEXT; i++)
        for (int how = 0; how < 3; how++) { /* the file itself, a symbolic link to it, a second name of it */
            put(how ? target : link_to, TEXT[i]);
            assert_int_equal(how == 1 ? symlink(target, link_to) : how == 2 ? link(target, link_to) : 0, 0);
            assert_int_equal(open_with(&f, "0.1", i % 2), E_FORMAT);
            EXPECT(strstr(err_message(), "out/.lock"), "%s", err_message());
            assert_true(holds(".lock", TEXT[i]) && !there("unfinished"));
            unlink(link_to);
        }
    put(target, ""); /* an empty file may be a lock, but not through another name */
    assert_int_equal(link(target, link_to), 0);
    assert_int_equal(open_with(&f, "0.1", false), E_FORMAT);
    unlink(link_to);
    assert_int_equal(symlink(str_print(&arena, "%s/none", dir), link_to), 0);
    assert_int_equal(open_with(&f, "0.1", false), E_FORMAT);
    assert_int_not_equal(access(str_print(&arena, "%s/none", dir), F_OK), 0);
    unlink(link_to);
    assert_int_equal(mkfifo(link_to, 0600), 0);
    assert_int_equal(open_with(&f, "0.1", false), E_FORMAT);
    unlink(link_to);
    assert_int_equal(mkdir(link_to, 0700), 0);
    assert_int_equal(open_with(&f, "0.1", false), E_FORMAT);
    rmdir(link_to);
    put(link_to, "");
    assert_int_equal(open_with(&f, "0.1", false), OK);
    folder_drop(&f, OK);
}

static void inputs_count_by_what_they_hold(void **state)
{
    (void)state;
    const char *hash[4];
    for (int i = 0; i < 4; i++) {
        Folder f = folder_begin(&arena, out, "test");
        put(str_print(&arena, "%s/in/a/b.txt", dir), i == 2 ? "new" : "old");
        if (i == 3) put(str_print(&arena, "%s/in/c.txt", dir), "more");
        if (i == 1) put(str_print(&arena, "%s/in/a/notes.md", dir), "not read");
        assert_int_equal(folder_reads(&f, "data", str_print(&arena, "%s/in", dir), "d/*|a/*.txt|c.txt"), OK);
        hash[i] = folder_hash(&f);
    }
    assert_string_equal(hash[0], hash[1]);
    assert_string_not_equal(hash[1], hash[2]);
    assert_string_not_equal(hash[1], hash[3]);
    Folder f = folder_begin(&arena, out, "test");
    assert_int_equal(folder_input(&f, "data", in("none")), E_IO);
}

static void latest_is_a_relative_link(void **state)
{
    (void)state;
    char to[64] = "";
    make("0.1", false);
    Folder f = folder_begin(&arena, out, "test");
    for (int i = 0; i < 2; i++) folder_latest(&f);
    assert_int_equal(readlink(str_print(&arena, "%s/latest", dir), to, sizeof to - 1), 3);
    assert_string_equal(to, "out");
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, end)
int main(void)
{
    const struct CMUnitTest tests[] = {CASE(a_result_is_made_once),
                                       CASE(other_settings_are_named),
                                       CASE(a_former_result_stays_until_the_new_one_is_complete),
                                       CASE(strangers_are_refused_by_name),
                                       CASE(a_stranger_in_the_way_is_not_replaced),
                                       CASE(a_killed_move_is_completed),
                                       CASE(a_result_that_is_not_done_is_taken_up),
                                       CASE(a_damaged_manifest_is_one_sentence),
                                       CASE(a_cut_manifest_is_overwritten),
                                       CASE(a_result_is_done_only_as_it_was_written),
                                       CASE(a_manifest_without_hashes_is_read),
                                       CASE(nothing_is_left_of_what_was_dropped),
                                       CASE(two_processes_do_not_share_a_directory),
                                       CASE(a_lock_of_another_host_is_named),
                                       CASE(jobs_of_a_killed_process_are_waited_for),
                                       CASE(an_empty_directory_of_work_goes),
                                       CASE(work_that_is_done_and_damaged_is_taken_up),
                                       CASE(scratch_files_are_no_result),
                                       CASE(a_foreign_lock_is_kept),
                                       CASE(inputs_count_by_what_they_hold),
                                       CASE(latest_is_a_relative_link)};
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
