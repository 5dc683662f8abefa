/* Each metric is stored by row, so that a bootstrap can average any choice of rows; BLEU keeps its counts by row,
 * because corpus BLEU is no mean over rows. */
#include "metric/messages.h"

#include <math.h>
#include <string.h>

#include "metric/rouge.h"

const MetricName MESSAGE_METRIC[MESSAGE_METRICS] = {
    [B_NORM] = {"B-Norm", "smoothed sentence BLEU-4 of lower-cased words and signs, mean; empty: 0"},
    [B_MOSES] = {"B-Moses", "corpus BLEU-4 (multi-bleu), as the text stands"},
    [B_CC] = {"B-CC", "sentence BLEU-4, Chen and Cherry's smoothing 5 (nltk), mean"},
    [ROUGE_L] = {"ROUGE-L", "COCO form, beta 1.2, as the text stands"},
    [ROUGE_L_LOWER] = {"ROUGE-L lower", "the same, lower-cased"},
    [METEOR_1] = {"METEOR exact", "METEOR 1.5 -norm, corpus: exact matches"},
    [METEOR_2] = {"METEOR stem", "METEOR 1.5 -norm, corpus: and stems"},
    [METEOR_3] = {"METEOR", "METEOR 1.5 -norm, corpus: and synonyms; no paraphrases"},
    [METEOR_NLTK] = {"METEOR nltk", "nltk's own, alpha .9 beta 3 gamma .5, mean"},
    [EXACT] = {"exact match", "equal without blanks at the ends"},
    [EXACT_LOWER] = {"exact lower", "the same, lower-cased"},
};

int64_t messages_lines(Bytes **line, Arena *a, Bytes text)
{
    static const char *const WHITE = " \t\r\v\f";
    int64_t n = 0, rows = 1;
    for (size_t i = 0; i < text.len; i++) rows += text.text[i] == '\n';
    *line = NEW(a, Bytes, rows);
    for (size_t at = 0, end; at < text.len; at = end + 1) {
        const char *stop = memchr(text.text + at, '\n', text.len - at);
        size_t last = end = stop ? (size_t)(stop - text.text) : text.len;
        while (at < last && strchr(WHITE, text.text[at]) && text.text[at]) at++;
        while (at < last && strchr(WHITE, text.text[last - 1]) && text.text[last - 1]) last--;
        (*line)[n++] = (Bytes){text.text + at, last - at};
    }
    return n;
}

/* ---- scoring */

/* Every metric of one row. */
static void score_row(MessageRows *r, int64_t i, Arena *scratch, Bytes h, Bytes g, Meteor *meteor,
                      const Synonyms *synonyms)
{
    Lexicon x = lexicon_open(scratch);
    BleuCounts norm = {0};
    Bytes low_h = words_lower(scratch, h.text, h.len), low_g = words_lower(scratch, g.text, g.len);
    Words said = words_and_signs(&x, low_h.text, low_h.len);
    bleu_count(&norm, scratch, said, words_and_signs(&x, low_g.text, low_g.len));
    r->norm[i] = said.n ? bleu_norm(&norm) : 0;
    r->empty += said.n == 0;
    bleu_count(&r->plain[i], scratch, words_split(&x, h.text, h.len), words_split(&x, g.text, g.len));
    r->cc[i] = bleu_cc(&r->plain[i]);
    r->rouge[i] = rouge_l(scratch, words_blanks(&x, h.text, h.len), words_blanks(&x, g.text, g.len));
    r->rouge_lower[i] =
        rouge_l(scratch, words_blanks(&x, low_h.text, low_h.len), words_blanks(&x, low_g.text, low_g.len));
    for (int k = 0; k < METEOR_STAGES && meteor; k++) meteor_count(&r->meteor[k][i], meteor, k + 1, h, g);
    r->nltk[i] = meteor_nltk(scratch, synonyms, h, g);
    r->same[i] = h.len == g.len && !memcmp(h.text, g.text, h.len);
    r->same_lower[i] = low_h.len == low_g.len && !memcmp(low_h.text, low_g.text, low_h.len);
}

void messages_score(MessageRows *out, Arena *a, int64_t n, const Bytes *hypothesis, const Bytes *reference,
                    Meteor *meteor, const Synonyms *synonyms)
{
    MessageRows r = {.n = n};
    r.plain = NEW(a, BleuCounts, n + 1);
    for (int k = 0; k < METEOR_STAGES && meteor; k++) r.meteor[k] = NEW(a, MeteorCounts, n + 1);
    double **column[] = {&r.norm, &r.cc, &r.rouge, &r.rouge_lower, &r.nltk};
    for (size_t k = 0; k < sizeof column / sizeof *column; k++) *column[k] = NEW(a, double, n + 1);
    r.same = NEW(a, bool, n + 1), r.same_lower = NEW(a, bool, n + 1);
    Arena scratch = arena_open(0);
    for (int64_t i = 0; i < n; i++) {
        ArenaMark mark = arena_mark(&scratch);
        score_row(&r, i, &scratch, hypothesis[i], reference[i], meteor, synonyms);
        arena_drop(&scratch, mark);
    }
    arena_close(&scratch);
    *out = r;
}

void messages_stats(double out[MESSAGE_METRICS], const int64_t *index, int64_t n, void *user)
{
    const MessageRows *r = user;
    BleuCounts corpus = {0};
    MeteorCounts meteor[METEOR_STAGES] = {0};
    double rows = (double)n;
    for (int k = 0; k < MESSAGE_METRICS; k++) out[k] = 0;
    for (int64_t j = 0; j < n; j++) {
        int64_t i = index[j];
        const BleuCounts *p = &r->plain[i];
        corpus.hypothesis += p->hypothesis, corpus.reference += p->reference;
        for (int k = 0; k < 4; k++) corpus.match[k] += p->match[k], corpus.total[k] += p->total[k];
        for (int k = 0; k < METEOR_STAGES && r->meteor[0]; k++) meteor_add(&meteor[k], &r->meteor[k][i]);
        out[B_NORM] += r->norm[i] / rows;
        out[B_CC] += r->cc[i] / rows;
        out[ROUGE_L] += r->rouge[i] / rows, out[ROUGE_L_LOWER] += r->rouge_lower[i] / rows;
        out[METEOR_NLTK] += r->nltk[i] / rows;
        out[EXACT] += r->same[i] / rows, out[EXACT_LOWER] += r->same_lower[i] / rows;
    }
    out[B_MOSES] = bleu_moses(&corpus);
    for (int k = 0; k < METEOR_STAGES; k++) out[METEOR_1 + k] = r->meteor[0] ? meteor_score(&meteor[k]) : (double)NAN;
    for (int k = 0; k < MESSAGE_METRICS; k++) out[k] *= 100;
}

double messages_perplexity(const double *loss, const double *tokens, int64_t n)
{
    double nats = 0, all = 0;
    for (int64_t i = 0; i < n; i++) nats += loss[i], all += tokens[i];
    return exp(nats / all);
}

Status message_tools(Meteor **meteor, Synonyms **wordnet, Arena *a, const char *folder, const char *words)
{
    static const char *const DEBIAN = "/usr/share/wordnet";
    *meteor = NULL;
    *wordnet = NEW(a, Synonyms, 1);
    Status opened = synonyms_open(*wordnet, a, words ? words : DEBIAN);
    if (opened) {
        if (words) return opened;
        err_clear();
        *wordnet = NULL;
    }
    if (!folder) return OK;
    Synonyms *own = NEW(a, Synonyms, 1); /* METEOR's tables, or WordNet where it has none */
    if (synonyms_open(own, a, folder)) {
        err_clear();
        own = *wordnet;
    }
    return meteor_open(meteor, a, folder, own);
}
