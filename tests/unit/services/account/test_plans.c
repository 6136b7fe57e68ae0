/* The table of plans, as accounts and invoices rely on it. */
#include "sky_check.h"

#include <string.h>

#include "account/plans.h"

/* A limit of 0 is none, so it is larger than any. */
static double limit(double value) {
  return value == 0 ? 1e300 : value;
}

START_TEST(a_plan_is_found_by_its_id_alone) {
  for (size_t i = 0; i < ACCOUNT_PLANS; i++)
    ck_assert_ptr_eq(account_plan(account_plans[i].id), &account_plans[i]);
  static const char *const unknown[] = {"", "Starter", "starter ", "start", "gold"};
  for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
    ck_assert_ptr_null(account_plan(unknown[i]));
}
END_TEST

START_TEST(ids_and_names_are_there) {
  for (size_t i = 0; i < ACCOUNT_PLANS; i++) {
    ck_assert_uint_gt(strlen(account_plans[i].id), 0);
    ck_assert_uint_gt(strlen(account_plans[i].display_name), 0);
  }
}
END_TEST

START_TEST(a_larger_plan_allows_more) {
  for (size_t i = 1; i < ACCOUNT_PLANS; i++) {
    const account_Plan *smaller = &account_plans[i - 1], *larger = &account_plans[i];
    ck_assert(limit((double)larger->max_deliveries_per_month) > limit((double)smaller->max_deliveries_per_month));
    ck_assert(limit((double)larger->max_active_deliveries) > limit((double)smaller->max_active_deliveries));
    ck_assert(limit(larger->max_weight_kg) > limit(smaller->max_weight_kg));
    ck_assert(larger->expedited_allowed || !smaller->expedited_allowed);
  }
}
END_TEST

START_TEST(a_larger_plan_costs_more_a_month_and_less_a_delivery) {
  for (size_t i = 1; i < ACCOUNT_PLANS; i++) {
    const account_Plan *smaller = &account_plans[i - 1], *larger = &account_plans[i];
    ck_assert_int_gt(larger->monthly_fee->minor_units, smaller->monthly_fee->minor_units);
    ck_assert_int_lt(larger->delivery_price->minor_units, smaller->delivery_price->minor_units);
    ck_assert_int_lt(larger->kilometre_price->minor_units, smaller->kilometre_price->minor_units);
    ck_assert_int_lt(larger->expedited_surcharge->minor_units, smaller->expedited_surcharge->minor_units);
  }
}
END_TEST

/* An invoice adds its lines up. */
START_TEST(the_prices_of_a_plan_are_in_one_currency_and_the_contract_holds) {
  for (size_t i = 0; i < ACCOUNT_PLANS; i++) {
    const account_Plan *plan = &account_plans[i];
    const common_Money *const prices[] = {plan->monthly_fee, plan->delivery_price, plan->kilometre_price,
                                          plan->expedited_surcharge};
    for (size_t j = 0; j < 4; j++) {
      ck_assert_str_eq(prices[j]->currency_code, prices[0]->currency_code);
      ck_assert_int_ge(prices[j]->minor_units, 0);
      SkyStatus status = common_Money_validate(prices[j]);
      ck_assert_msg(status == SKY_OK, "%s", sky_status_message(status));
    }
  }
}
END_TEST

/* They are answers as they stand, shared by all calls. */
START_TEST(a_plan_can_be_packed) {
  for (size_t i = 0; i < ACCOUNT_PLANS; i++) {
    SkyBuf out;
    sky_buf_init(&out, 4096);
    SkyStatus status = account_Plan_pack(&account_plans[i], &out);
    ck_assert_ptr_null(status);
    ck_assert_uint_gt(out.size, strlen(account_plans[i].id));
    sky_buf_finish(&out);
  }
}
END_TEST

SKY_CHECK_MAIN("account/plans", a_plan_is_found_by_its_id_alone, ids_and_names_are_there, a_larger_plan_allows_more,
               a_larger_plan_costs_more_a_month_and_less_a_delivery,
               the_prices_of_a_plan_are_in_one_currency_and_the_contract_holds, a_plan_can_be_packed)
