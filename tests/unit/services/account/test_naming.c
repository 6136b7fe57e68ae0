/* A creation that is asked for again must find what the first one made. */
#include "sky_check.h"

#include <string.h>

#include "account/naming.h"

static const int64_t now_ms = 1795000000000;
static SkySeededRandom seeded;

static void setup(void) {
  sky_seeded_random_init(&seeded, 3);
}

static const char *name(const char *scope, const char *key, int64_t at_ms) {
  static char ids[4][SKY_UUID_TEXT_SIZE];
  static size_t next;
  char *id = ids[next++ % 4];
  account_name(scope, key, at_ms, &seeded.random, id);
  return id;
}

START_TEST(the_same_key_gives_the_same_id_at_any_time) {
  const char *first = name("", "key-1", now_ms), *again = name("", "key-1", now_ms + 3600000);
  ck_assert_str_eq(first, again);
}
END_TEST

START_TEST(another_key_or_scope_gives_another_id) {
  const char *first = name("acme", "key-1", now_ms), *other_key = name("acme", "key-2", now_ms);
  const char *other_scope = name("globex", "key-1", now_ms), *none = name("", "key-1", now_ms);
  ck_assert_str_ne(first, other_key);
  ck_assert_str_ne(first, other_scope);
  ck_assert_str_ne(first, none);
}
END_TEST

START_TEST(the_last_byte_of_the_longest_key_counts) {
  char key[1021], other[1021];
  for (int i = 0; i < 255; i++)
    memcpy(key + 4 * i, "\xF0\x9F\x9A\x81", 4);
  key[1020] = '\0';
  memcpy(other, key, sizeof(key));
  other[1019] = '\x82';
  const char *first = name("acme", key, now_ms), *second = name("acme", other, now_ms);
  ck_assert_str_ne(first, second);
}
END_TEST

START_TEST(without_a_key_ids_are_new_and_ordered_by_time) {
  const char *first = name("", "", now_ms), *second = name("", "", now_ms), *later = name("", "", now_ms + 1);
  ck_assert_str_ne(first, second);
  ck_assert_int_lt(strcmp(first, later), 0);
}
END_TEST

SKY_CHECK_MAIN_WITH("account/naming", setup, NULL, the_same_key_gives_the_same_id_at_any_time,
                    another_key_or_scope_gives_another_id, the_last_byte_of_the_longest_key_counts,
                    without_a_key_ids_are_new_and_ordered_by_time)
