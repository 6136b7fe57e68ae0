/* CheckAccount: the saga's first step. A yes is entered in the ledger; a no is an error with its reason. */
#include "account/handlers.h"

#include <sky/service/resource.h>

SkyStatus account_check(void *self, SkyCall *call, const account_CheckAccountRequest *request,
                        account_CheckAccountResponse *response) {
  AccountService *service = self;
  account_store_AccountDocument *document;
  SKY_TRY(account_load(service, call, request->owner_id, &document, NULL));
  if (document->account->status == account_ACCOUNT_STATUS_SUSPENDED)
    return sky_status_with_reason(SKY_FAILED_PRECONDITION("account %s is suspended", request->owner_id),
                                  "ACCOUNT_SUSPENDED");
  const account_Plan *plan = account_plan(document->account->plan_id);
  if (plan == NULL) /* a plan that was taken from the table */
    plan = &account_plans[0];
  if (plan->max_weight_kg > 0 && request->weight_kg > plan->max_weight_kg)
    return sky_status_with_reason(
        SKY_FAILED_PRECONDITION("the plan allows packages of up to %g kg", plan->max_weight_kg), "PLAN_LIMIT");
  if (request->expedited && !plan->expedited_allowed)
    return sky_status_with_reason(SKY_FAILED_PRECONDITION("the plan allows no expedited deliveries"), "PLAN_LIMIT");
  const int64_t request_ms =
      request->request_time == NULL ? sky_clock_wall_ms(service->clock) : sky_timestamp_ms(request->request_time);
  LedgerCounts counts;
  SKY_TRY(ledger_enter(service->ledger, sky_call_context(call), plan, request->owner_id, request->delivery_id,
                       request_ms, request->expedited, &counts));
  response->plan_id = plan->id;
  response->deliveries_this_month = counts.month;
  response->active_deliveries = counts.active;
  return SKY_OK;
}
