/* Plans and invoices. An invoice is the ledger's sum of a month, priced by the account's plan; it stays open until the
 * month is over. */
#include "account/handlers.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sky/service/resource.h>

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

static SkyStatus make_invoice(AccountService *service, SkyCall *call, const account_Account *account, int year,
                              int month, account_Invoice **ret) {
  SkyArena *arena = sky_call_arena(call);
  const account_Plan *plan = account_plan(account->plan_id);
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
  SKY_TRY(add_lines(invoice, plan == NULL ? &account_plans[0] : plan, &sum, arena));
  invoice->etag = sky_etag_create(arena, sum.completed);
  *ret = invoice;
  return SKY_OK;
}

static int month_number(int year, int month) {
  return year * 12 + month - 1;
}

static void month_of(int64_t unix_ms, int *ret_year, int *ret_month) {
  int day;
  sky_time_civil(unix_ms / SKY_MS_PER_S, ret_year, ret_month, &day);
}

SkyStatus account_get_invoice(void *self, SkyCall *call, const account_GetInvoiceRequest *request,
                              account_GetInvoiceResponse *response) {
  AccountService *service = self;
  account_store_AccountDocument *document;
  SKY_TRY(account_load(service, call, request->account_id, &document, NULL));
  const int year = atoi(request->id), month = atoi(request->id + 5); /* the contract's pattern is checked */
  int first_year, first_month, last_year, last_month;
  month_of(sky_timestamp_ms(document->account->create_time), &first_year, &first_month);
  month_of(sky_clock_wall_ms(service->clock), &last_year, &last_month);
  if (month_number(year, month) < month_number(first_year, first_month) ||
      month_number(year, month) > month_number(last_year, last_month))
    return sky_status_with_reason(SKY_NOT_FOUND("account %s has no invoice %s", request->account_id, request->id),
                                  "INVOICE_UNKNOWN");
  return make_invoice(service, call, document->account, year, month, &response->invoice);
}

/* One per month since the account was created, newest first; the token is the next month's number. */
SkyStatus account_list_invoices(void *self, SkyCall *call, const account_ListInvoicesRequest *request,
                                account_ListInvoicesResponse *response) {
  AccountService *service = self;
  account_store_AccountDocument *document;
  SKY_TRY(account_load(service, call, request->account_id, &document, NULL));
  int first_year, first_month, last_year, last_month;
  month_of(sky_timestamp_ms(document->account->create_time), &first_year, &first_month);
  month_of(sky_clock_wall_ms(service->clock), &last_year, &last_month);
  const int first = month_number(first_year, first_month);
  int64_t at = month_number(last_year, last_month);
  if (request->page_token[0] != '\0' && (!sky_str_to_int64(sky_str(request->page_token), &at) || at < first ||
                                         at > month_number(last_year, last_month))) {
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
    SKY_TRY(make_invoice(service, call, document->account, (int)(at / 12), (int)(at % 12) + 1,
                         &response->invoices[response->n_invoices]));
  if (at >= first)
    response->next_page_token = sky_call_printf(call, "%lld", (long long)at);
  return SKY_OK;
}
