#include "pending.h"

#include "sky_check.h"

static Pending pending;

static void setup(void) {
  SkyStatus status = pending_init(&pending, 3);
  ck_assert_ptr_null(status);
}

static void teardown(void) {
  pending_finish(&pending);
}

typedef struct Seen {
  int calls;
  SkyCode code;
} Seen;

static void on_reply(void *user, SkyStatus status, SkyStr data) {
  (void)data;
  Seen *seen = user;
  seen->calls++;
  seen->code = sky_status_code(status);
  sky_status_free(status);
}

static PendingToken add(int64_t deadline_ns, uint64_t epoch, Seen *seen) {
  PendingToken token = 0;
  SkyStatus status = pending_add(&pending, 0, deadline_ns, epoch, on_reply, seen, &token);
  ck_assert_ptr_null(status);
  return token;
}

static bool take(PendingToken token) {
  OnReply taken;
  void *user;
  return pending_take(&pending, token, &taken, &user);
}

START_TEST(an_entry_is_taken_once) {
  Seen seen = {0};
  PendingToken token = add(10, 1, &seen);
  ck_assert(take(token));
  ck_assert(!take(token));
  ck_assert_int_eq(seen.calls, 0); /* who takes it calls */
}
END_TEST

START_TEST(a_late_reply_does_not_find_the_next_user_of_the_slot) {
  Seen seen = {0};
  PendingToken old = add(10, 1, &seen);
  ck_assert(take(old));
  PendingToken new = add(10, 1, &seen);
  ck_assert(!take(old));
  ck_assert(take(new));
}
END_TEST

START_TEST(a_full_table_refuses) {
  Seen seen = {0};
  PendingToken tokens[3];
  for (int i = 0; i < 3; i++)
    tokens[i] = add(10, 1, &seen);
  PendingToken one_more;
  SkyStatus status = pending_add(&pending, 0, 10, 1, on_reply, &seen, &one_more);
  ck_assert_int_eq(sky_status_code(status), SKY_CODE_RESOURCE_EXHAUSTED);
  ck_assert_int_gt(sky_status_retry_after_ms(status), 0);
  sky_status_free(status);
  ck_assert(take(tokens[1]));
  tokens[1] = add(10, 1, &seen);
  for (int i = 0; i < 3; i++)
    ck_assert(take(tokens[i]));
}
END_TEST

START_TEST(only_what_is_due_expires) {
  Seen early = {0}, late = {0};
  add(10, 1, &early);
  PendingToken token = add(20, 1, &late);
  pending_expire(&pending, 10, 1);
  ck_assert_int_eq(early.calls, 1);
  ck_assert_int_eq(early.code, SKY_CODE_DEADLINE_EXCEEDED);
  ck_assert_int_eq(late.calls, 0);
  ck_assert_uint_eq(pending_count(&pending), 1);
  ck_assert(take(token));
}
END_TEST

START_TEST(a_lost_connection_ends_all_that_was_sent_on_it) {
  Seen before = {0}, after = {0};
  add(1000, 1, &before);
  PendingToken token = add(1000, 2, &after);
  pending_expire(&pending, 0, 2);
  ck_assert_int_eq(before.calls, 1);
  ck_assert_int_eq(before.code, SKY_CODE_UNAVAILABLE);
  ck_assert_int_eq(after.calls, 0);
  ck_assert(take(token));
}
END_TEST

START_TEST(tokens_from_outside_are_harmless) {
  ck_assert(!take(UINT64_MAX));
  ck_assert(!take(0));
  ck_assert(!take((uint64_t)2 << 32));
}
END_TEST

SKY_CHECK_MAIN_WITH("bus/pending", setup, teardown, an_entry_is_taken_once,
                    a_late_reply_does_not_find_the_next_user_of_the_slot, a_full_table_refuses,
                    only_what_is_due_expires, a_lost_connection_ends_all_that_was_sent_on_it,
                    tokens_from_outside_are_harmless)
