#include "pending.h"

#include <assert.h>
#include <stdlib.h>

#include <sky/core/deadline_wait.h>
#include <sky/core/time.h>

struct PendingEntry {
  OnReply on_reply; /* NULL: free */
  void *user;
  int64_t started_ns;
  int64_t deadline_ns;
  uint64_t epoch;
  uint32_t generation;
  uint32_t next_free; /* index + 1 */
};

SkyStatus pending_init(Pending *pending, size_t capacity) {
  assert(capacity > 0 && capacity < UINT32_MAX);
  *pending = (Pending){.capacity = capacity};
  pending->entries = calloc(capacity, sizeof(*pending->entries));
  if (pending->entries == NULL)
    return sky_status_no_memory();
  sky_deadline_cond_init(&pending->filled);
  pthread_mutex_init(&pending->mutex, NULL);
  return SKY_OK;
}

void pending_finish(Pending *pending) {
  if (pending->entries == NULL)
    return;
  assert(pending->used == 0);
  pthread_mutex_destroy(&pending->mutex);
  pthread_cond_destroy(&pending->filled);
  free(pending->entries);
  pending->entries = NULL;
}

/* An index that is free, or capacity. Fresh entries come last, so that memory that was never needed is never touched.
 */
static size_t pop_free(Pending *pending) {
  if (pending->free_head == 0)
    return pending->fresh < pending->capacity ? pending->fresh++ : pending->capacity;
  size_t index = pending->free_head - 1;
  pending->free_head = pending->entries[index].next_free;
  return index;
}

SkyStatus pending_add(Pending *pending, int64_t now_ns, int64_t deadline_ns, uint64_t epoch, OnReply on_reply,
                      void *user, PendingToken *ret) {
  pthread_mutex_lock(&pending->mutex);
  size_t index = pop_free(pending);
  if (index == pending->capacity) {
    pthread_mutex_unlock(&pending->mutex);
    return sky_status_with_retry_after_ms(
        SKY_RESOURCE_EXHAUSTED("%zu publications wait for confirmation already", pending->capacity), 100);
  }
  PendingEntry *entry = &pending->entries[index];
  *entry = (PendingEntry){.on_reply = on_reply,
                          .user = user,
                          .started_ns = now_ns,
                          .deadline_ns = deadline_ns,
                          .epoch = epoch,
                          .generation = entry->generation + 1};
  *ret = (uint64_t)index << 32 | entry->generation;
  pending->used++;
  if (pending->waiter_sleeps) {
    pending->waiter_sleeps = false;
    pthread_cond_signal(&pending->filled);
  }
  pthread_mutex_unlock(&pending->mutex);
  return SKY_OK;
}

static void take_locked(Pending *pending, size_t index, OnReply *ret_on_reply, void **ret_user) {
  PendingEntry *entry = &pending->entries[index];
  *ret_on_reply = entry->on_reply;
  *ret_user = entry->user;
  entry->on_reply = NULL;
  entry->next_free = pending->free_head;
  pending->free_head = (uint32_t)index + 1;
  pending->used--;
}

bool pending_take(Pending *pending, PendingToken token, OnReply *ret_on_reply, void **ret_user) {
  size_t index = token >> 32;
  if (index >= pending->capacity)
    return false;
  pthread_mutex_lock(&pending->mutex);
  const PendingEntry *entry = &pending->entries[index];
  bool found = entry->on_reply != NULL && entry->generation == (uint32_t)token;
  if (found)
    take_locked(pending, index, ret_on_reply, ret_user);
  pthread_mutex_unlock(&pending->mutex);
  return found;
}

static SkyStatus expiry(const PendingEntry *entry, int64_t now_ns, uint64_t epoch) {
  if (entry->epoch != epoch)
    return sky_status_with_retry_after_ms(
        SKY_UNAVAILABLE("the connection to the broker was lost before it confirmed; it may have stored the message"),
        1000);
  if (entry->deadline_ns <= now_ns)
    return SKY_DEADLINE_EXCEEDED("the broker did not confirm in time; it may have stored the message");
  return SKY_OK;
}

/* Looks on from *cursor for an entry that is due and completes it; false at the end. */
static bool expire_next(Pending *pending, size_t *cursor, int64_t now_ns, uint64_t epoch) {
  OnReply on_reply = NULL;
  void *user = NULL;
  SkyStatus status = SKY_OK;
  pthread_mutex_lock(&pending->mutex);
  for (; pending->used > 0 && *cursor < pending->fresh && on_reply == NULL; ++*cursor) {
    const PendingEntry *entry = &pending->entries[*cursor];
    if (entry->on_reply != NULL && (status = expiry(entry, now_ns, epoch)) != SKY_OK)
      take_locked(pending, *cursor, &on_reply, &user);
  }
  pthread_mutex_unlock(&pending->mutex);
  if (on_reply == NULL)
    return false;
  on_reply(user, status, (SkyStr){0});
  return true;
}

void pending_expire(Pending *pending, int64_t now_ns, uint64_t epoch) {
  size_t cursor = 0;
  while (expire_next(pending, &cursor, now_ns, epoch))
    continue;
}

size_t pending_count(Pending *pending) {
  pthread_mutex_lock(&pending->mutex);
  size_t used = pending->used;
  pthread_mutex_unlock(&pending->mutex);
  return used;
}

int64_t pending_oldest_ns(Pending *pending) {
  int64_t oldest = INT64_MAX;
  pthread_mutex_lock(&pending->mutex);
  for (size_t i = 0; i < pending->fresh; i++)
    if (pending->entries[i].on_reply != NULL && pending->entries[i].started_ns < oldest)
      oldest = pending->entries[i].started_ns;
  pthread_mutex_unlock(&pending->mutex);
  return oldest;
}

bool pending_wait(Pending *pending, int64_t tick_ms) {
  pthread_mutex_lock(&pending->mutex);
  pending->waiter_sleeps = pending->used == 0;
  while (pending->waiter_sleeps && !pending->closing)
    pthread_cond_wait(&pending->filled, &pending->mutex);
  int64_t until_ns = sky_clock_monotonic_ns(sky_clock_system_borrow()) + tick_ms * SKY_NS_PER_MS;
  while (!pending->closing && sky_deadline_cond_wait(&pending->filled, &pending->mutex, until_ns))
    continue;
  bool open = !pending->closing;
  pthread_mutex_unlock(&pending->mutex);
  return open;
}

void pending_close(Pending *pending) {
  pthread_mutex_lock(&pending->mutex);
  pending->closing = true;
  pthread_cond_broadcast(&pending->filled);
  pthread_mutex_unlock(&pending->mutex);
}
