/*
 * Feeds: server streams that tell the newest state of drones. A subscriber has a queue of drones, each at most once,
 * and what is sent of one is its state at the time of sending: a slow subscriber misses steps, never the outcome, and
 * memory is bounded by the fleet.
 *
 * The scheduler's mutex is around every call.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sky/core/map.h>
#include <sky/rpc/call.h>

enum { FEED_MAX_SUBSCRIBERS = 256 };

typedef struct FeedSubscriber FeedSubscriber;

typedef enum FeedKind { FEED_ORDERS, FEED_WATCH } FeedKind;

struct FeedSubscriber {
  struct Scheduler *scheduler;
  SkyCall *call;
  FeedKind kind;
  SkyMap *drones, *bases; /* whose drones are told; both NULL: all */
  SkyMap *waiting;        /* ids that are in the queue */
  char **queue;           /* ring of ids */
  size_t head, count, capacity;
  size_t snapshot_left;   /* of the first picture */
  int64_t snapshot_count; /* orders that were in force */
  bool snapshot_sent;
  uint64_t sent;
  bool ended;   /* the call is finished, at the end of the process */
  bool blocked; /* waits until the client has read */
  FeedSubscriber *next;
};

typedef struct Feeds {
  FeedSubscriber *first;
  bool closed; /* no more subscribers */
  size_t count;
} Feeds;

bool feed_add(Feeds *feeds, FeedSubscriber *subscriber); /* false: too many */
void feed_remove(Feeds *feeds, FeedSubscriber *subscriber);
void feed_free(FeedSubscriber *subscriber); /* NULL-safe */
bool feed_wants(const FeedSubscriber *subscriber, const char *drone_id, const char *base_id);
/* At the end of the queue, unless it waits already. False without memory. */
bool feed_push(FeedSubscriber *subscriber, const char *drone_id);
/* The first in the queue, to be freed; NULL when empty. */
char *feed_pop(FeedSubscriber *subscriber);
void feed_push_front(FeedSubscriber *subscriber, char *drone_id); /* takes back what was popped */
