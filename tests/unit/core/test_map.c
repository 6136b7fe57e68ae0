#include <sky/core/map.h>

#include <sky/core/id.h>

#include <stdio.h>
#include <string.h>

#include "sky_check.h"

static SkyMap *map;
static int values[10000];

static void setup(void) {
  map = sky_map_create(10000);
}

static void teardown(void) {
  sky_map_destroy(map);
}

static SkyStr number_key(int number, char text[16]) {
  snprintf(text, 16, "key-%d", number);
  return sky_str(text);
}

static void set(SkyStr key, void *value) {
  SkyStatus status = sky_map_set(map, key, value, NULL);
  ck_assert_ptr_null(status);
}

START_TEST(an_empty_map_has_nothing) {
  size_t cursor = 0;
  SkyStr key;
  void *value;
  ck_assert_ptr_null(sky_map_get(map, SKY_STR("a")));
  ck_assert_ptr_null(sky_map_remove(map, SKY_STR("a")));
  ck_assert_uint_eq(sky_map_size(map), 0);
  ck_assert(!sky_map_next(map, &cursor, &key, &value));
  sky_map_destroy(NULL);
}
END_TEST

START_TEST(set_replaces_and_reports_the_old_value) {
  void *old = &old;
  ck_assert_ptr_null(sky_map_set(map, SKY_STR("a"), &values[0], &old));
  ck_assert_ptr_null(old);
  ck_assert_ptr_null(sky_map_set(map, SKY_STR("a"), &values[1], &old));
  ck_assert_ptr_eq(old, &values[0]);
  ck_assert_ptr_eq(sky_map_get(map, SKY_STR("a")), &values[1]);
  ck_assert_uint_eq(sky_map_size(map), 1);
}
END_TEST

START_TEST(keys_are_copied_bytes) {
  char key[] = "a\0b";
  set((SkyStr){key, 3}, &values[0]);
  set((SkyStr){0}, &values[1]);
  key[0] = 'x';
  ck_assert_ptr_eq(sky_map_get(map, SKY_STR("a\0b")), &values[0]);
  ck_assert_ptr_null(sky_map_get(map, SKY_STR("a")));
  ck_assert_ptr_eq(sky_map_get(map, SKY_STR("")), &values[1]);
}
END_TEST

START_TEST(maximum_is_exact_and_replacing_still_works) {
  SkyMap *small = sky_map_create(3);
  char text[16];
  for (int i = 0; i < 3; i++)
    ck_assert_ptr_null(sky_map_set(small, number_key(i, text), &values[i], NULL));
  void *old = &values[9];
  SkyStatus status = sky_map_set(small, SKY_STR("one more"), &values[3], &old);
  ck_assert(sky_status_take(&status, SKY_CODE_RESOURCE_EXHAUSTED));
  ck_assert_ptr_eq(old, &values[9]);
  ck_assert_ptr_null(sky_map_set(small, SKY_STR("key-1"), &values[5], NULL));
  ck_assert_ptr_eq(sky_map_remove(small, SKY_STR("key-0")), &values[0]);
  ck_assert_ptr_null(sky_map_set(small, SKY_STR("one more"), &values[3], NULL));
  ck_assert_uint_eq(sky_map_size(small), 3);
  sky_map_destroy(small);
}
END_TEST

START_TEST(a_map_for_nothing_takes_nothing) {
  SkyMap *none = sky_map_create(0);
  SkyStatus status = sky_map_set(none, SKY_STR("a"), &values[0], NULL);
  ck_assert(sky_status_take(&status, SKY_CODE_RESOURCE_EXHAUSTED));
  sky_map_destroy(none);
}
END_TEST

START_TEST(walk_meets_every_entry_once) {
  char text[16];
  bool met[1000] = {false};
  for (int i = 0; i < 1000; i++)
    set(number_key(i, text), &values[i]);
  size_t cursor = 0, count = 0;
  SkyStr key;
  void *value;
  while (sky_map_next(map, &cursor, &key, &value)) {
    const int number = (int)((int *)value - values);
    ck_assert(sky_str_equal(key, number_key(number, text)));
    ck_assert(!met[number]);
    met[number] = true;
    count++;
  }
  ck_assert_uint_eq(count, 1000);
}
END_TEST

/* Sets and removes at random and compares with a plain array: collisions, growth and gaps in every order. */
START_TEST(random_changes_agree_with_a_plain_array) {
  enum { KEYS = 300, STEPS = 100000 };
  static void *expected[KEYS];
  SkySeededRandom random;
  sky_seeded_random_init(&random, 20261121);
  size_t size = 0;
  for (int step = 0; step < STEPS; step++) {
    char text[16];
    const uint64_t dice = sky_random_uint64(&random.random);
    const int number = (int)(dice % KEYS);
    const SkyStr key = number_key(number, text);
    ck_assert_ptr_eq(sky_map_get(map, key), expected[number]);
    void *old = NULL;
    if ((dice >> 32) % 2 == 0) {
      void *value = &values[(dice >> 40) % 10000];
      ck_assert_ptr_null(sky_map_set(map, key, value, &old));
      ck_assert_ptr_eq(old, expected[number]);
      size += old == NULL;
      expected[number] = value;
    } else {
      ck_assert_ptr_eq(sky_map_remove(map, key), expected[number]);
      size -= expected[number] != NULL;
      expected[number] = NULL;
    }
    ck_assert_uint_eq(sky_map_size(map), size);
  }
}
END_TEST

/* Appendix A of the SipHash paper, and the first vectors of its reference implementation: message 00 01 02 …, key 00 01
 * … 0f. */
START_TEST(hash_is_siphash_2_4) {
  static const uint64_t key[2] = {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)};
  const char message[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14};
  ck_assert(sky_map_hash(key, (SkyStr){message, 0}) == UINT64_C(0x726fdb47dd0e0e31));
  ck_assert(sky_map_hash(key, (SkyStr){message, 1}) == UINT64_C(0x74f839c593dc67fd));
  ck_assert(sky_map_hash(key, (SkyStr){message, 8}) == UINT64_C(0x93f5f5799a932462));
  ck_assert(sky_map_hash(key, (SkyStr){message, 15}) == UINT64_C(0xa129ca6149be45e5));
}
END_TEST

SKY_CHECK_MAIN_WITH("core/map", setup, teardown, an_empty_map_has_nothing, set_replaces_and_reports_the_old_value,
                    keys_are_copied_bytes, maximum_is_exact_and_replacing_still_works, a_map_for_nothing_takes_nothing,
                    walk_meets_every_entry_once, random_changes_agree_with_a_plain_array, hash_is_siphash_2_4)
