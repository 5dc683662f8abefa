/* Places in the time of a project by hand, and the paired AUC against counting all pairs. */
#include "expect.h"

#include <string.h>

#include "base/rng.h"
#include "metric/place.h"

static void places_by_hand(void **state)
{
    (void)state;
    static const char *const PROJECT[] = {"a", "b", "a", "a", "a", "c", "b", "a"};
    static const int64_t TIME[] = {40, 5, 10, 20, 20, 7, INT64_MIN, 50};
    static const double PLACE[] = {0.75, 0.5, 0, 0.375, 0.375, 0.5, NAN, 1};
    double place[8];
    place_of(place, PROJECT, TIME, 8);
    for (int i = 0; i < 8; i++)
        EXPECT(isnan(PLACE[i]) ? isnan(place[i]) : fabs(place[i] - PLACE[i]) < 1e-15, "commit %d: %g, not %g", i,
               place[i], PLACE[i]);
}

/* Every pair, one after the other. */
static void against_all_pairs(void **state)
{
    (void)state;
    enum { N = 300 };
    static const char *const NAME[] = {"x", "y", "z"};
    for (uint64_t seed = 0; seed < 20; seed++) {
        uint64_t s = rng_stream(seed, "place");
        const char *project[N];
        int64_t time[N], pairs = 0, counted;
        int32_t label[N];
        double score[N], place[N], won = 0;
        for (uint64_t i = 0; i < N; i++) {
            project[i] = NAME[rng_below(s, 4 * i, 3)];
            time[i] = (int64_t)rng_below(s, 4 * i + 1, 200);
            label[i] = rng_below(s, 4 * i + 2, 4) == 0;
            score[i] = (double)rng_below(s, 4 * i + 3, 20);
        }
        place_of(place, project, time, N);
        for (int i = 0; i < N; i++)
            for (int k = 0; k < N; k++) {
                if (label[i] != 1 || label[k] != 0 || project[i] != project[k]) continue;
                if (fabs(place[i] - place[k]) > PLACE_CLOSE) continue;
                won += score[i] > score[k] ? 1 : score[i] < score[k] ? 0 : 0.5;
                pairs++;
            }
        double auc = place_auc(&counted, label, score, project, place, N);
        assert_int_equal(counted, pairs);
        EXPECT(fabs(auc - won / (double)pairs) < 1e-12, "%.15g, not %.15g", auc, won / (double)pairs);
    }
}

static void no_pairs(void **state)
{
    (void)state;
    static const char *const PROJECT[] = {"a", "b", "a"};
    static const double SCORE[] = {1, 2, 3}, PLACE[] = {0, 0, 1};
    static const int32_t LABEL[] = {1, 0, 0};
    int64_t pairs;
    assert_true(isnan(place_auc(&pairs, LABEL, SCORE, PROJECT, PLACE, 3)));
    assert_int_equal(pairs, 0);
    assert_true(isnan(place_auc(NULL, LABEL, SCORE, PROJECT, PLACE, 0)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(places_by_hand), cmocka_unit_test(against_all_pairs),
                                       cmocka_unit_test(no_pairs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
