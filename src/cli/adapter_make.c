/* vernier adapter combine and approximate: LoRAs made of other adapters, saved in PEFT's form, which has a place for
 * all of them. */
#include "cli/adapter_make.h"

#include <unistd.h>

#include "adapter/combine.h"
#include "base/print.h"
#include "base/str.h"
#include "cli/adapter.h"
#include "cli/answers.h"
#include "cli/output.h"

/* Opens the output directory for `work`, which writes below `where`. */
static Status into(const char *out, const Args *args, Status (*work)(const Args *, const char *where))
{
    Folder f;
    TRY(output_open(&f, args, "OUT", out, 1));
    return output_there(&f, args) ? OK : output_close(&f, work(args, f.path), false);
}

static Status save(Adapter *x, const Args *args, const char *where)
{
    x->run = args_arena(args);
    x->library = library_find("hf");
    TRY(adapter_save(x, where));
    print_remarks(x, args);
    return OK;
}

/* ---- combine */

static Status read_weights(double *weight, int n, const Args *args)
{
    const char *text = args_text(args, "weights", NULL), *item;
    size_t len;
    int found = 0;
    for (int i = 0; i < n; i++) weight[i] = 1;
    for (const char *rest = text; text && str_next(&rest, ",", &item, &len); found++)
        if (found >= n || !str_real(str_copy(args_arena(args), item, len), &weight[found]))
            return err_fail(E_CONFIG, "--weights %s: expected %d numbers with commas, one for each adapter", text, n);
    if (text && found != n)
        return err_fail(E_CONFIG, "--weights %s: expected %d numbers with commas, one for each adapter", text, n);
    return OK;
}

static Status read_combination(Combination *how, int n, const Args *args)
{
    static const char *const SIGNS[] = {"total", "frequency", NULL};
    int type, sign;
    double *weight = NEW(args_arena(args), double, n);
    TRY(args_word(&type, args, "combination-type", COMBINE_LINEAR, COMBINE_TYPE));
    TRY(args_word(&sign, args, "majority-sign-method", 0, SIGNS));
    if (type != COMBINE_TIES && (args_given(args, "density") || args_given(args, "majority-sign-method")))
        return err_fail(E_CONFIG, "--density and --majority-sign-method require --combination-type ties");
    TRY(args_real(&how->density, args, "density", 0.2, 0, 1));
    TRY(read_weights(weight, n, args));
    how->type = (CombineType)type, how->frequency = sign == 1, how->weight = weight;
    return OK;
}

static Status open_all(Adapter **in, int n, const Args *args)
{
    for (int i = 0; i < n; i++) {
        Model *m;
        TRY(adapter_open(&in[i], args_arena(args), args_at(args, 1 + i)));
        TRY(adapter_base(&m, args, in[i]));
        TRY(adapter_attach(in[i], m, hooks_new(args_arena(args))));
        print_remarks(in[i], args);
    }
    return OK;
}

/* The model of the result has the head that one of the adapters brings. */
static Status combined(const Args *args, const char *where)
{
    int n = args_count(args) - 2;
    Adapter **in = NEW(args_arena(args), Adapter *, n), *out;
    Combination how = {0};
    Model *m;
    TRY(read_combination(&how, n, args));
    Status s = open_all(in, n, args);
    const Adapter *shape = in[0];
    for (int i = 1; !s && i < n; i++)
        if (!adapter_classes(shape) && adapter_classes(in[i])) shape = in[i];
    if (!s) s = adapter_base(&m, args, shape);
    if (!s) s = adapter_combine(&out, m, n, in, &how);
    if (!s) s = save(out, args, where);
    for (int i = 0; i < n; i++) adapter_close(in[i]);
    if (!s && !args_quiet(args))
        print_err("%s: a LoRA of rank %d, combined of %d by %s\n", args_at(args, n + 1), out->cfg.rank, n,
                  COMBINE_TYPE[how.type]);
    return s;
}

Status adapter_combine_verb(const Args *args)
{
    Combination how = {0};
    TRY(read_combination(&how, args_count(args) - 2, args));
    return into(args_at(args, args_count(args) - 1), args, combined);
}

/* ---- approximate */

enum { TABLE_ROWS = 40 };

static void print_rows(const Approximated *row, int n, int rank)
{
    print_out("%-56s %10s %6s %12s\n", "matrix", "change", "rank", "residual");
    for (int i = 0; i < n; i++)
        if (row[i].linear)
            print_out("%-56s %10.4g %6lld %11.2f%%\n", row[i].name, row[i].norm, (long long)row[i].rank,
                      100 * row[i].residual);
    int others = 0;
    for (int i = 0; i < n; i++) {
        if (row[i].linear || others++ >= TABLE_ROWS) continue;
        print_out("%-56s %10.4g %6s %12s\n", row[i].name, row[i].norm, "", "not in LoRA");
    }
    if (others > TABLE_ROWS) print_out("and %d other parameters that a LoRA does not have\n", others - TABLE_ROWS);
    print_out("change: Frobenius norm; residual: the share of it that rank %d lacks\n", rank);
}

/* The tuned model: of an adapter its merged base, or a model's folder. */
static Status open_tuned(Adapter **a, Model **tuned, const Args *args)
{
    const char *dir = args_at(args, 1), *base = args_text(args, "base", NULL);
    Arena *arena = args_arena(args);
    *a = NULL;
    if (!access(str_print(arena, "%s/adapter_config.json", dir), F_OK)) {
        TRY(adapter_open(a, arena, dir));
        TRY(adapter_base(tuned, args, *a));
        TRY(adapter_attach(*a, *tuned, hooks_new(arena)));
        print_remarks(*a, args);
        if (!(*a)->method->merge)
            return err_fail(E_MISMATCH, "%s: %s changes no weights, so no LoRA is near it", dir, (*a)->method->name);
        Status s = (*a)->method->merge(*tuned, &(*a)->cfg);
        return s == E_CONFIG ? E_MISMATCH : s; /* it is a file's setting, not the user's */
    }
    if (!base) return err_fail(E_CONFIG, "%s is a whole model; name its base with --base MODEL", dir);
    return model_load_as(tuned, arena, dir, &(LoadOptions){.say = adapter_say(args)});
}

/* The base of the tuned model, in its shape. */
static Status open_before(Model **m, const Args *args, const Adapter *a, const Model *tuned)
{
    if (a) return adapter_base(m, args, a);
    return model_load_as(m, args_arena(args), args_text(args, "base", NULL),
                         &(LoadOptions){.classes = tuned->config.classes, .no_lm_head = tuned->config.no_lm_head});
}

/* How far the answers of the LoRA are from those of the tuned model. */
static void report(const Args *args, Adapter *x, Model *tuned, Model *lora)
{
    Arena *arena = args_arena(args);
    if (args_quiet(args) || x->method->merge(lora, &x->cfg)) return;
    Answers a = answers(tuned, NULL, arena), b = answers(lora, NULL, arena);
    print_err(
        "%s: a LoRA of rank %d; on a few tokens its answers differ from the tuned model's by at most %.1e of the "
        "largest\n",
        args_at(args, 2), x->cfg.rank, answers_difference(&a, &b));
}

static Status approximated(const Args *args, const char *where)
{
    Adapter *a, *out;
    Model *tuned, *before, *to;
    Approximated *row;
    int n;
    int64_t rank;
    TRY(args_int(&rank, args, "rank", 8, 1, 4096));
    Status s = open_tuned(&a, &tuned, args);
    if (!s) s = open_before(&before, args, a, tuned);
    if (!s) s = open_before(&to, args, a, tuned);
    if (!s) s = adapter_approximate(&out, &row, &n, to, before, tuned, (int)rank);
    if (!s) out->base = a ? a->base : args_text(args, "base", NULL);
    if (!s) s = save(out, args, where);
    adapter_close(a);
    TRY(s);
    print_rows(row, n, (int)rank);
    report(args, out, tuned, to);
    return OK;
}

Status adapter_approximate_verb(const Args *args)
{
    return into(args_at(args, 2), args, approximated);
}
