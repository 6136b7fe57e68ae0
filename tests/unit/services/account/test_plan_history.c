/* Which plan prices which month: services/account/plan_history.h. */
#include "sky_check.h"

#include <stdio.h>

#include "account/plan_history.h"

enum { NOVEMBER = 2026 * 12 + 10 };

static SkyArena arena;
static account_Account account;
static account_store_AccountDocument document;

static void setup(void) {
  sky_arena_init(&arena, 1 << 20);
  account = (account_Account)account_Account_INIT;
  document = (account_store_AccountDocument)account_store_AccountDocument_INIT;
  document.account = &account;
}

static void teardown(void) {
  sky_arena_finish(&arena);
}

static void change(int month, const char *plan_id) {
  account.plan_id = plan_id;
  ck_assert_ptr_null(plan_history_note(&document, month, plan_id, &arena));
}

START_TEST(months_are_numbered) {
  ck_assert_int_eq(plan_month(2026, 11), NOVEMBER);
  ck_assert_int_eq(plan_month(2026, 12) + 1, plan_month(2027, 1));
  ck_assert_int_eq(plan_month_of(1796083199999), NOVEMBER); /* 2026-11-30T23:59:59.999Z */
  ck_assert_int_eq(plan_month_of(1796083200000), NOVEMBER + 1);
}
END_TEST

START_TEST(a_month_is_priced_by_the_plan_at_its_end) {
  change(NOVEMBER, "starter");
  change(NOVEMBER + 2, "business");
  change(NOVEMBER + 2, "unlimited");
  change(NOVEMBER + 5, "starter");
  static const char *const expected[] = {"starter",   "starter", "unlimited", "unlimited",
                                         "unlimited", "starter", "starter"};
  for (int i = 0; i < 7; i++)
    ck_assert_str_eq(plan_history_of(&document, NOVEMBER + i), expected[i]);
  ck_assert_uint_eq(document.n_plan_changes, 3);
}
END_TEST

START_TEST(no_change_is_none) {
  change(NOVEMBER, "starter");
  change(NOVEMBER + 1, "starter");
  ck_assert_uint_eq(document.n_plan_changes, 1);
  ck_assert_str_eq(plan_history_of(&document, NOVEMBER - 1), "starter"); /* no month is without one */
}
END_TEST

START_TEST(accounts_from_before_have_the_plan_that_they_have) {
  account.plan_id = "business";
  ck_assert_str_eq(plan_history_of(&document, NOVEMBER), "business");
}
END_TEST

START_TEST(the_history_is_bounded) {
  static char ids[PLAN_HISTORY_MAX + 10][16];
  for (int i = 0; i < PLAN_HISTORY_MAX + 10; i++) {
    snprintf(ids[i], sizeof(ids[i]), "plan-%d", i);
    change(NOVEMBER + i, ids[i]);
  }
  ck_assert_uint_eq(document.n_plan_changes, PLAN_HISTORY_MAX);
  ck_assert_str_eq(plan_history_of(&document, NOVEMBER + PLAN_HISTORY_MAX + 9), ids[PLAN_HISTORY_MAX + 9]);
  ck_assert_str_eq(plan_history_of(&document, NOVEMBER + 10), ids[10]);
  ck_assert_str_eq(plan_history_of(&document, NOVEMBER), ids[10]);
}
END_TEST

SKY_CHECK_MAIN_WITH("account/plan_history", setup, teardown, months_are_numbered,
                    a_month_is_priced_by_the_plan_at_its_end, no_change_is_none,
                    accounts_from_before_have_the_plan_that_they_have, the_history_is_bounded)
