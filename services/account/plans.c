#include "account/plans.h"

#include <string.h>

#define PRICE(name, units)                                                                                             \
  static common_Money name = {                                                                                         \
      .base = {.descriptor = common_Money_descriptor}, .currency_code = "USD", .minor_units = (units)}

PRICE(starter_fee, 0);
PRICE(starter_delivery, 490);
PRICE(starter_kilometre, 35);
PRICE(starter_expedited, 250);
PRICE(business_fee, 19900);
PRICE(business_delivery, 390);
PRICE(business_kilometre, 25);
PRICE(business_expedited, 200);
PRICE(unlimited_fee, 249900);
PRICE(unlimited_delivery, 290);
PRICE(unlimited_kilometre, 18);
PRICE(unlimited_expedited, 150);

#define PLAN .base = {.descriptor = account_Plan_descriptor}

const account_Plan account_plans[ACCOUNT_PLANS] = {
    {PLAN, .id = "starter", .display_name = "Starter", .max_deliveries_per_month = 1000, .max_active_deliveries = 100,
     .max_weight_kg = 10, .expedited_allowed = true, .monthly_fee = &starter_fee, .delivery_price = &starter_delivery,
     .kilometre_price = &starter_kilometre, .expedited_surcharge = &starter_expedited},
    {PLAN, .id = "business", .display_name = "Business", .max_deliveries_per_month = 50000,
     .max_active_deliveries = 2000, .max_weight_kg = 50, .expedited_allowed = true, .monthly_fee = &business_fee,
     .delivery_price = &business_delivery, .kilometre_price = &business_kilometre,
     .expedited_surcharge = &business_expedited},
    {PLAN, .id = "unlimited", .display_name = "Unlimited", .expedited_allowed = true, .monthly_fee = &unlimited_fee,
     .delivery_price = &unlimited_delivery, .kilometre_price = &unlimited_kilometre,
     .expedited_surcharge = &unlimited_expedited},
};

const account_Plan *account_plan(const char *id) {
  for (size_t i = 0; i < ACCOUNT_PLANS; i++)
    if (strcmp(account_plans[i].id, id) == 0)
      return &account_plans[i];
  return NULL;
}
