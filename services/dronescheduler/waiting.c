#include "waiting.h"

#include <string.h>

static void remove_at(Waiting *waiting, size_t at) {
  waiting->count--;
  memmove(&waiting->entry[at], &waiting->entry[at + 1], (waiting->count - at) * sizeof(waiting->entry[0]));
}

static WaitingEntry *find(Waiting *waiting, const char *delivery_id) {
  for (size_t i = 0; i < waiting->count; i++) {
    if (strcmp(waiting->entry[i].delivery_id, delivery_id) == 0)
      return &waiting->entry[i];
  }
  return NULL;
}

void waiting_add(Waiting *waiting, const char *delivery_id, const FleetNeed *need, int64_t now_ms) {
  WaitingEntry *entry = find(waiting, delivery_id);
  if (entry == NULL) {
    if (waiting->count == WAITING_MAX)
      remove_at(waiting, 0);
    entry = &waiting->entry[waiting->count++];
    *entry = (WaitingEntry){0};
    strncpy(entry->delivery_id, delivery_id, sizeof(entry->delivery_id) - 1);
  }
  entry->need = *need;
  entry->until_ms = now_ms + WAITING_KEEP_MS;
}

void waiting_remove(Waiting *waiting, const char *delivery_id) {
  WaitingEntry *entry = find(waiting, delivery_id);
  if (entry != NULL)
    remove_at(waiting, (size_t)(entry - waiting->entry));
}

static void forget_the_gone(Waiting *waiting, int64_t now_ms) {
  for (size_t i = 0; i < waiting->count;) {
    if (waiting->entry[i].until_ms < now_ms)
      remove_at(waiting, i);
    else
      i++;
  }
}

size_t waiting_claims(Waiting *waiting, const Fleet *fleet, const FleetRules *rules, int64_t now_ms,
                      FleetDrone *ret[WAITING_MAX]) {
  forget_the_gone(waiting, now_ms);
  size_t count = 0;
  for (size_t i = 0; i < waiting->count; i++) {
    FleetPlan plan;
    if (fleet_choose(fleet, rules, &waiting->entry[i].need, ret, count, now_ms, &ret[count], &plan) == FLEET_FOUND)
      count++;
  }
  return count;
}
