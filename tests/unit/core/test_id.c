#include <sky/core/id.h>

#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sky_check.h"

static void assert_text(const SkyUuid *uuid, const char *expected) {
  char text[SKY_UUID_TEXT_SIZE];
  sky_uuid_format(uuid, text);
  ck_assert_str_eq(text, expected);
}

START_TEST(v5_matches_the_example_of_rfc_9562) {
  SkyUuid dns;
  ck_assert(sky_uuid_parse(SKY_STR("6ba7b810-9dad-11d1-80b4-00c04fd430c8"), &dns));
  const SkyUuid uuid = sky_uuid_v5(&dns, SKY_STR("www.example.com"));
  assert_text(&uuid, "2ed6657d-e927-568b-95e1-2665a8aea6a2");
}
END_TEST

/* Name lengths on both sides of SHA-1's block and padding limits; expected values are those of Python's uuid.uuid5().
 */
START_TEST(v5_of_long_names) {
  SkyUuid dns;
  ck_assert(sky_uuid_parse(SKY_STR("6ba7b810-9dad-11d1-80b4-00c04fd430c8"), &dns));
  static const struct {
    size_t size;
    const char *uuid;
  } expected[] = {
      {0, "4ebd0208-8328-5d69-8c44-ec50939c0967"},    {39, "2f80c0d1-1c62-579f-8d68-e61ad5592c9b"},
      {40, "e56fd57a-7633-5e1d-8f80-70e05ac413e5"},   {47, "a112377b-8258-5ef7-b5b0-d2540bc03abb"},
      {48, "83993b6c-dea9-55ca-be5b-9989c85943fc"},   {49, "a0f0b33b-afbf-5cad-b334-d8140d5af575"},
      {111, "1a48738a-dc98-5032-bf56-974c361d949d"},  {112, "0243b19e-8bd4-5b57-95a2-1fcacc3142a0"},
      {1000, "f6d12730-a238-51ed-bf69-3689855f9bbf"},
  };
  char name[1000];
  memset(name, 'x', sizeof(name));
  for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
    const SkyUuid uuid = sky_uuid_v5(&dns, (SkyStr){name, expected[i].size});
    assert_text(&uuid, expected[i].uuid);
  }
}
END_TEST

START_TEST(v7_carries_time_version_and_variant) {
  SkySeededRandom random;
  sky_seeded_random_init(&random, 1);
  const SkyUuid uuid = sky_uuid_v7(INT64_C(0x017f22e279b0), &random.random);
  char text[SKY_UUID_TEXT_SIZE];
  sky_uuid_format(&uuid, text);
  ck_assert_mem_eq(text, "017f22e2-79b0-7", 15);
  ck_assert_ptr_nonnull(strchr("89ab", text[19]));
}
END_TEST

START_TEST(v7_texts_sort_by_time) {
  char earlier[SKY_UUID_TEXT_SIZE], later[SKY_UUID_TEXT_SIZE];
  const SkyRandom *random = sky_random_system_borrow();
  for (int64_t ms = 1795230858000; ms < 1795230858000 + 1000; ms++) {
    const SkyUuid first = sky_uuid_v7(ms, random), second = sky_uuid_v7(ms + 1, random);
    sky_uuid_format(&first, earlier);
    sky_uuid_format(&second, later);
    ck_assert_int_lt(strcmp(earlier, later), 0);
  }
}
END_TEST

START_TEST(parse_takes_either_case_and_only_the_canonical_form) {
  SkyUuid uuid;
  ck_assert(sky_uuid_parse(SKY_STR("2ED6657D-E927-568B-95E1-2665A8AEA6A2"), &uuid));
  assert_text(&uuid, "2ed6657d-e927-568b-95e1-2665a8aea6a2");
  static const char *const wrong[] = {"",
                                      "2ed6657d-e927-568b-95e1-2665a8aea6a",
                                      "2ed6657d-e927-568b-95e1-2665a8aea6a20",
                                      "2ed6657de927-568b-95e1-2665a8aea6a2-",
                                      "2ed6657d+e927-568b-95e1-2665a8aea6a2",
                                      "2ed6657g-e927-568b-95e1-2665a8aea6a2",
                                      "{ed6657d-e927-568b-95e1-2665a8aea6a}",
                                      "2ed6657de927568b95e12665a8aea6a2"};
  for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
    ck_assert_msg(!sky_uuid_parse(sky_str(wrong[i]), &uuid), "%s", wrong[i]);
  assert_text(&uuid, "2ed6657d-e927-568b-95e1-2665a8aea6a2");
}
END_TEST

/* First outputs of the reference xoshiro256** with the state that splitmix64 makes of seed 42. */
START_TEST(seeded_numbers_are_those_of_the_reference) {
  SkySeededRandom random;
  sky_seeded_random_init(&random, 42);
  static const uint64_t expected[] = {UINT64_C(0x15780b2e0c2ec716), UINT64_C(0x6104d9866d113a7e),
                                      UINT64_C(0xae17533239e499a1), UINT64_C(0xecb8ad4703b360a1),
                                      UINT64_C(0xfde6dc7fe2ec5e64)};
  for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
    ck_assert(sky_random_uint64(&random.random) == expected[i]);
}
END_TEST

START_TEST(unit_numbers_fill_the_interval) {
  SkySeededRandom random;
  sky_seeded_random_init(&random, 7);
  int buckets[10] = {0};
  for (int i = 0; i < 10000; i++) {
    const double number = sky_random_unit(&random.random);
    ck_assert(number >= 0 && number < 1);
    buckets[(int)(number * 10)]++;
  }
  for (int i = 0; i < 10; i++)
    ck_assert(buckets[i] > 850 && buckets[i] < 1150);
}
END_TEST

START_TEST(system_random_fills_every_size_and_does_not_repeat) {
  const SkyRandom *random = sky_random_system_borrow();
  static const size_t sizes[] = {16, 511, 512, 513, 5000};
  for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
    static uint8_t first[5000], second[5000];
    random->fill(random->self, first, sizes[i]);
    random->fill(random->self, second, sizes[i]);
    ck_assert_mem_ne(first, second, sizes[i]);
    ck_assert_mem_ne(first + sizes[i] - 16, second + sizes[i] - 16, 16);
  }
}
END_TEST

START_TEST(a_forked_child_has_other_numbers) {
  const SkyRandom *random = sky_random_system_borrow();
  sky_random_uint64(random); /* fills the pool that the child inherits */
  int pipe_fds[2];
  ck_assert_int_eq(pipe(pipe_fds), 0);
  const pid_t child = fork();
  uint64_t mine = sky_random_uint64(random), theirs;
  if (child == 0)
    _exit(write(pipe_fds[1], &mine, sizeof(mine)) == sizeof(mine) ? 0 : 1);
  ck_assert_int_eq(read(pipe_fds[0], &theirs, sizeof(theirs)), sizeof(theirs));
  ck_assert(mine != theirs);
  waitpid(child, NULL, 0);
}
END_TEST

static void *draw(void *number) {
  *(uint64_t *)number = sky_random_uint64(sky_random_system_borrow());
  return NULL;
}

START_TEST(threads_have_different_numbers) {
  enum { THREADS = 8 };
  pthread_t threads[THREADS];
  uint64_t numbers[THREADS];
  for (int i = 0; i < THREADS; i++)
    pthread_create(&threads[i], NULL, draw, &numbers[i]);
  for (int i = 0; i < THREADS; i++)
    pthread_join(threads[i], NULL);
  for (int i = 0; i < THREADS; i++) {
    for (int j = 0; j < i; j++)
      ck_assert(numbers[i] != numbers[j]);
  }
}
END_TEST

SKY_CHECK_MAIN("core/id", v5_matches_the_example_of_rfc_9562, v5_of_long_names, v7_carries_time_version_and_variant,
               v7_texts_sort_by_time, parse_takes_either_case_and_only_the_canonical_form,
               seeded_numbers_are_those_of_the_reference, unit_numbers_fill_the_interval,
               system_random_fills_every_size_and_does_not_repeat, a_forked_child_has_other_numbers,
               threads_have_different_numbers)
