#include "account/plan_history.h"

#include <string.h>

#include <sky/core/time.h>

typedef account_store_AccountDocument Document;
typedef account_store_PlanChange Change;

int plan_month(int year, int month) {
  return year * 12 + month - 1;
}

int plan_month_of(int64_t unix_ms) {
  int year, month, day;
  sky_time_civil(unix_ms / SKY_MS_PER_S, &year, &month, &day);
  return plan_month(year, month);
}

/* An account from before there was a history has had the plan that it has. */
static Change *last_change(const Document *document) {
  return document->n_plan_changes == 0 ? NULL : document->plan_changes[document->n_plan_changes - 1];
}

SkyStatus plan_history_note(Document *document, int month, const char *plan_id, SkyArena *arena) {
  Change *last = last_change(document);
  if (last != NULL && strcmp(last->plan_id, plan_id) == 0)
    return SKY_OK;
  if (last != NULL && last->month >= month) {
    last->plan_id = plan_id;
    return SKY_OK;
  }
  const size_t kept =
      document->n_plan_changes < PLAN_HISTORY_MAX ? document->n_plan_changes : PLAN_HISTORY_MAX - (size_t)1;
  Change **changes = sky_arena_alloc(arena, (kept + 1) * sizeof(Change *));
  Change *change = account_store_PlanChange_create(arena);
  if (changes == NULL || change == NULL)
    return sky_status_no_memory();
  if (kept > 0)
    memcpy(changes, document->plan_changes + document->n_plan_changes - kept, kept * sizeof(Change *));
  change->month = month;
  change->plan_id = plan_id;
  changes[kept] = change;
  document->plan_changes = changes;
  document->n_plan_changes = kept + 1;
  return SKY_OK;
}

const char *plan_history_of(const Document *document, int month) {
  if (document->n_plan_changes == 0)
    return document->account->plan_id;
  size_t i = document->n_plan_changes - 1;
  while (i > 0 && document->plan_changes[i]->month > month)
    i--;
  return document->plan_changes[i]->plan_id;
}
