/*
 * Pending: requests that wait for the broker's reply, in a table of fixed capacity.
 *
 * Each gets a token that is part of its reply subject. Whoever takes an entry out (the reply, the deadline, a lost
 * connection, or its owner who gives up) is the only one to run its callback, so that runs exactly once. A token names
 * the slot and its generation: a late reply finds nothing. Thread-safe; callbacks run without the lock.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sky/core/status.h>
#include <sky/core/str.h>

/* Owns the status; data is the reply's and valid during the call. */
typedef void (*OnReply)(void *user, SkyStatus status, SkyStr data);

typedef uint64_t PendingToken;

typedef struct PendingEntry PendingEntry;

typedef struct Pending {
  pthread_mutex_t mutex;
  pthread_cond_t filled; /* no longer empty, or closing */
  PendingEntry *entries;
  size_t capacity;
  size_t fresh; /* entries from here on were never used */
  size_t used;
  uint32_t free_head; /* index + 1; 0: none */
  bool waiter_sleeps; /* in pending_wait(), until something comes: only then it is woken */
  bool closing;
} Pending;

SKY_MUST_USE SkyStatus pending_init(Pending *pending, size_t capacity);
void pending_finish(Pending *pending); /* must be empty */

/* RESOURCE_EXHAUSTED when full. epoch: that of the connection it is sent on. */
SKY_MUST_USE SkyStatus pending_add(Pending *pending, int64_t now_ns, int64_t deadline_ns, uint64_t epoch,
                                   OnReply on_reply, void *user, PendingToken *ret);
/* Takes the entry out: false when it is out already. */
bool pending_take(Pending *pending, PendingToken token, OnReply *ret_on_reply, void **ret_user);
/* Completes every entry that is past its deadline or of another epoch. */
void pending_expire(Pending *pending, int64_t now_ns, uint64_t epoch);
size_t pending_count(Pending *pending);
/* When the oldest one was sent; INT64_MAX when none waits. */
int64_t pending_oldest_ns(Pending *pending);

/* Waits until something is pending, then one tick more. False when closing. */
bool pending_wait(Pending *pending, int64_t tick_ms);
void pending_close(Pending *pending);
