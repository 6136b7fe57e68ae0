/* Plans and invoices. An invoice is the ledger's sum of a month, priced by the plan of that month; it stays open until
 * the month is over. */
#include "account/handlers.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sky/service/resource.h>

#include "account/plan_history.h"
#include "account/plans.h"

enum { MAX_LINES = 4, MOST_MONTHS = 120 };

SkyStatus account_list_plans(void *self, SkyCall *call, const account_ListPlansRequest *request,
                             account_ListPlansResponse *response) {
  response->plans = sky_arena_alloc(sky_call_arena(call), ACCOUNT_PLANS * sizeof(*response->plans));
  if (response->plans == NULL)
    return sky_status_no_memory();
  for (; response->n_plans < ACCOUNT_PLANS; response->n_plans++)
    response->plans[response->n_plans] = (account_Plan *)(uintptr_t)&account_plans[response->n_plans];
  return SKY_OK;
}

static SkyStatus new_money(SkyArena *arena, const char *currency_code, int64_t minor_units, common_Money **ret) {
  common_Money *money = common_Money_create(arena);
  if (money == NULL)
    return sky_status_no_memory();
  money->currency_code = currency_code;
  money->minor_units = minor_units;
  *ret = money;
  return SKY_OK;
}

static SkyStatus add_line(account_Invoice *invoice, account_InvoiceLineKind kind, double quantity, common_Money *price,
                          SkyArena *arena) {
  if (quantity == 0)
    return SKY_OK;
  account_InvoiceLine *line = account_InvoiceLine_create(arena);
  if (line == NULL)
    return sky_status_no_memory();
  line->kind = kind;
  line->quantity = quantity;
  line->unit_price = price;
  SKY_TRY(
      new_money(arena, price->currency_code, (int64_t)llround(quantity * (double)price->minor_units), &line->amount));
  invoice->lines[invoice->n_lines++] = line;
  invoice->total->minor_units += line->amount->minor_units;
  return SKY_OK;
}

static SkyStatus add_lines(account_Invoice *invoice, const account_Plan *plan, const LedgerMonth *sum,
                           SkyArena *arena) {
  invoice->lines = sky_arena_alloc(arena, MAX_LINES * sizeof(*invoice->lines));
  if (invoice->lines == NULL)
    return sky_status_no_memory();
  SKY_TRY(new_money(arena, plan->monthly_fee->currency_code, 0, &invoice->total));
  SKY_TRY(add_line(invoice, account_INVOICE_LINE_KIND_PLAN_FEE, plan->monthly_fee->minor_units > 0, plan->monthly_fee,
                   arena));
  SKY_TRY(add_line(invoice, account_INVOICE_LINE_KIND_DELIVERIES, (double)sum->completed, plan->delivery_price, arena));
  SKY_TRY(add_line(invoice, account_INVOICE_LINE_KIND_DISTANCE, sum->distance_m / 1000, plan->kilometre_price, arena));
  return add_line(invoice, account_INVOICE_LINE_KIND_EXPEDITED, (double)sum->expedited, plan->expedited_surcharge,
                  arena);
}

/* One that is no longer offered is priced as the smallest. */
static const account_Plan *plan_of(const account_store_AccountDocument *document, int year, int month) {
  const account_Plan *plan = account_plan(plan_history_of(document, plan_month(year, month)));
  return plan != NULL ? plan : &account_plans[0];
}

static SkyStatus make_invoice(AccountService *service, SkyCall *call, const account_store_AccountDocument *document,
                              int year, int month, account_Invoice **ret) {
  SkyArena *arena = sky_call_arena(call);
  const account_Account *account = document->account;
  const account_Plan *plan = plan_of(document, year, month);
  account_Invoice *invoice = account_Invoice_create(arena);
  common_Month *of = common_Month_create(arena);
  if (invoice == NULL || of == NULL)
    return sky_status_no_memory();
  of->year = year;
  of->month = month;
  invoice->id = sky_call_printf(call, "%04d-%02d", year, month);
  if (invoice->id == NULL)
    return sky_status_no_memory();
  const int64_t now_s = sky_clock_wall_ms(service->clock) / SKY_MS_PER_S;
  const int64_t end_s = sky_time_from_civil(month == 12 ? year + 1 : year, month == 12 ? 1 : month + 1, 1);
  LedgerMonth sum;
  SKY_TRY(ledger_sum(service->ledger, sky_call_context(call), account->id, invoice->id, &sum));
  invoice->account_id = account->id;
  invoice->month = of;
  invoice->state = now_s < end_s ? account_INVOICE_STATE_OPEN : account_INVOICE_STATE_CLOSED;
  invoice->delivery_count = sum.completed;
  invoice->create_time = sky_timestamp_create(arena, sky_time_from_civil(year, month, 1) * SKY_MS_PER_S);
  invoice->update_time = sky_timestamp_create(arena, (now_s < end_s ? now_s : end_s) * SKY_MS_PER_S);
  SKY_TRY(add_lines(invoice, plan, &sum, arena));
  invoice->etag = sky_etag_create(arena, sum.completed * ACCOUNT_PLANS + (plan - account_plans));
  *ret = invoice;
  return SKY_OK;
}

/* The numbers of the months that an account has invoices of. */
static void months_of(const AccountService *service, const account_store_AccountDocument *document, int *ret_first,
                      int *ret_last) {
  *ret_first = plan_month_of(sky_timestamp_ms(document->account->create_time));
  *ret_last = plan_month_of(sky_clock_wall_ms(service->clock));
}

SkyStatus account_get_invoice(void *self, SkyCall *call, const account_GetInvoiceRequest *request,
                              account_GetInvoiceResponse *response) {
  AccountService *service = self;
  account_store_AccountDocument *document;
  SKY_TRY(account_load(service, call, request->account_id, &document, NULL));
  const int year = atoi(request->id), month = atoi(request->id + 5); /* the contract's pattern is checked */
  int first, last;
  months_of(service, document, &first, &last);
  if (plan_month(year, month) < first || plan_month(year, month) > last)
    return sky_status_with_reason(SKY_NOT_FOUND("account %s has no invoice %s", request->account_id, request->id),
                                  "INVOICE_UNKNOWN");
  return make_invoice(service, call, document, year, month, &response->invoice);
}

/* One per month since the account was created, newest first; the token is the next month's number. */
SkyStatus account_list_invoices(void *self, SkyCall *call, const account_ListInvoicesRequest *request,
                                account_ListInvoicesResponse *response) {
  AccountService *service = self;
  account_store_AccountDocument *document;
  SKY_TRY(account_load(service, call, request->account_id, &document, NULL));
  int first, last;
  months_of(service, document, &first, &last);
  int64_t at = last;
  if (request->page_token[0] != '\0' &&
      (!sky_str_to_int64(sky_str(request->page_token), &at) || at < first || at > last)) {
    SkyStatus violations = SKY_OK;
    sky_violations_add(&violations, "page_token", "is not one that this method gave");
    return violations;
  }
  const size_t page_size =
      request->page_size == 0 || request->page_size > MOST_MONTHS ? MOST_MONTHS : (size_t)request->page_size;
  response->invoices = sky_arena_alloc(sky_call_arena(call), page_size * sizeof(*response->invoices));
  if (response->invoices == NULL)
    return sky_status_no_memory();
  for (; at >= first && response->n_invoices < page_size; at--, response->n_invoices++)
    SKY_TRY(make_invoice(service, call, document, (int)(at / 12), (int)(at % 12) + 1,
                         &response->invoices[response->n_invoices]));
  if (at >= first)
    response->next_page_token = sky_call_printf(call, "%lld", (long long)at);
  return SKY_OK;
}
