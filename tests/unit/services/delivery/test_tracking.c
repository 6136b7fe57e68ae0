#include "delivery/tracking.h"

#include <sky_check.h>
#include <string.h>

#include "delivery/store.h"

static const char *const id = "29fdc588-9c31-56ca-9749-a9d0f22688b6";

START_TEST(a_key_fits_its_delivery_and_no_other) {
  const Tracking tracking = {{1, 2, 3}};
  char key[TRACKING_KEY_SIZE];
  tracking_key(&tracking, id, key);
  ck_assert_uint_eq(strlen(key), TRACKING_KEY_SIZE - 1);
  ck_assert_uint_eq(strspn(key, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"), strlen(key));
  ck_assert(tracking_key_is_valid(&tracking, id, key));
  ck_assert(!tracking_key_is_valid(&tracking, "29fdc588-9c31-56ca-9749-a9d0f22688b7", key));
  key[10] = key[10] == 'A' ? 'B' : 'A';
  ck_assert(!tracking_key_is_valid(&tracking, id, key));
  ck_assert(!tracking_key_is_valid(&tracking, id, ""));
  ck_assert(!tracking_key_is_valid(&tracking, id, "short"));
}
END_TEST

START_TEST(another_secret_gives_another_key) {
  const Tracking one = {{1}}, two = {{2}};
  char key[TRACKING_KEY_SIZE];
  tracking_key(&one, id, key);
  ck_assert(!tracking_key_is_valid(&two, id, key));
}
END_TEST

START_TEST(all_replicas_take_the_secret_of_the_first) {
  SkyStore *store;
  const SkyStoreOptions options = {.uri = "sqlite::memory:",
                                   .database = "delivery",
                                   .collections = delivery_collections,
                                   .collection_count = DELIVERY_COLLECTIONS};
  SkySeededRandom first_random, second_random;
  sky_seeded_random_init(&first_random, 1);
  sky_seeded_random_init(&second_random, 2);
  const SkyContext context = sky_context_background();
  Tracking first, second;
  ck_assert_ptr_null(sky_store_open(&options, &store));
  ck_assert_ptr_null(tracking_load(&first, store, &context, &first_random.random));
  ck_assert_ptr_null(tracking_load(&second, store, &context, &second_random.random));
  ck_assert_mem_eq(&first, &second, sizeof(first));
  sky_store_close(store);
}
END_TEST

SKY_CHECK_MAIN("delivery/tracking", a_key_fits_its_delivery_and_no_other, another_secret_gives_another_key,
               all_replicas_take_the_secret_of_the_first)
