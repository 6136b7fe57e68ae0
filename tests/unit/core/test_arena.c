#include <sky/core/arena.h>

#include <check.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static SkyArena arena;

static void setup(void) {
  sky_arena_init(&arena, 1 << 20);
}

static void teardown(void) {
  sky_arena_finish(&arena);
}

START_TEST(memory_is_zeroed_and_aligned_for_any_type) {
  for (size_t size = 1; size < 200; size++) {
    unsigned char *memory = sky_arena_alloc(&arena, size);
    ck_assert_ptr_nonnull(memory);
    ck_assert_uint_eq((uintptr_t)memory % _Alignof(max_align_t), 0);
    for (size_t i = 0; i < size; i++)
      ck_assert_uint_eq(memory[i], 0);
    memset(memory, 0xff, size);
  }
}
END_TEST

START_TEST(allocations_do_not_overlap_across_chunks) {
  enum { COUNT = 3000 };
  uint32_t *numbers[COUNT];
  for (uint32_t i = 0; i < COUNT; i++) {
    numbers[i] = sky_arena_alloc(&arena, sizeof(uint32_t));
    *numbers[i] = i;
  }
  for (uint32_t i = 0; i < COUNT; i++)
    ck_assert_uint_eq(*numbers[i], i);
}
END_TEST

START_TEST(budget_is_exact_and_a_refusal_changes_nothing) {
  sky_arena_finish(&arena);
  sky_arena_init(&arena, 100);
  ck_assert_ptr_nonnull(sky_arena_alloc(&arena, 60));
  ck_assert_ptr_null(sky_arena_alloc(&arena, 41));
  ck_assert_ptr_null(sky_arena_alloc(&arena, SIZE_MAX));
  ck_assert_ptr_null(sky_arena_strndup(&arena, "", SIZE_MAX));
  ck_assert_uint_eq(arena.used_bytes, 60);
  ck_assert_ptr_nonnull(sky_arena_alloc(&arena, 40));
}
END_TEST

START_TEST(reset_returns_the_whole_budget_and_reuses_memory) {
  void *before = sky_arena_alloc(&arena, 100);
  sky_arena_reset(&arena);
  ck_assert_uint_eq(arena.used_bytes, 0);
  ck_assert_ptr_eq(sky_arena_alloc(&arena, 100), before);
}
END_TEST

START_TEST(strndup_copies_and_terminates) {
  char *copy = sky_arena_strndup(&arena, "drone-17", 5);
  ck_assert_str_eq(copy, "drone");
}
END_TEST

int main(void) {
  TCase *cases = tcase_create("arena");
  tcase_add_checked_fixture(cases, setup, teardown);
  tcase_add_test(cases, memory_is_zeroed_and_aligned_for_any_type);
  tcase_add_test(cases, allocations_do_not_overlap_across_chunks);
  tcase_add_test(cases, budget_is_exact_and_a_refusal_changes_nothing);
  tcase_add_test(cases, reset_returns_the_whole_budget_and_reuses_memory);
  tcase_add_test(cases, strndup_copies_and_terminates);
  Suite *suite = suite_create("core/arena");
  suite_add_tcase(suite, cases);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
