/* The hash table, against a plain array that remembers everything. */
#include "expect.h"

#include <string.h>

#include "base/str.h"
#include "base/table.h"

static void remembers_what_was_added(void **state)
{
    (void)state;
    Arena a = arena_open(1 << 24);
    Table t = table_open(&a, 0);
    enum { N = 5000 };
    char **key = NEW(&a, char *, N);
    for (int i = 0; i < N; i++) {
        bool added;
        key[i] = str_print(&a, "key-%d%*s", i, i % 40, "");
        *table_add(&t, key[i], strlen(key[i]), &added) = i;
        assert_true(added);
    }
    for (int i = 0; i < N; i++) {
        bool added;
        assert_int_equal(table_get(&t, key[i], strlen(key[i]), -1), i);
        assert_int_equal(*table_add(&t, key[i], strlen(key[i]), &added), i);
        assert_false(added);
        assert_int_equal(table_get(&t, key[i], strlen(key[i]) - 1, -1) == i, false);
    }
    assert_int_equal(t.count, N);
    assert_null(table_find(&t, "", 0));
    *table_add(&t, "", 0, NULL) = 7;
    assert_int_equal(table_get(&t, "", 0, -1), 7);
    const char zeros[2] = {0, 0}; /* a key may hold NUL, and its length counts */
    *table_add(&t, zeros, 1, NULL) = 8;
    *table_add(&t, zeros, 2, NULL) = 9;
    assert_int_equal(table_get(&t, zeros, 1, -1), 8);
    assert_int_equal(table_get(&t, zeros, 2, -1), 9);
    arena_close(&a);
}

SUITE(cmocka_unit_test(remembers_what_was_added))
