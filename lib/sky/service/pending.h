/*
 * Pending: an outbox inside documents, for resources that are no event logs.
 *
 * A document that still has an event to publish says so in an indexed bool field, which is written together with the
 * change itself. Afterwards the service's settle function publishes the event and writes the document without the mark
 * (or deletes it). What a crash or a lost broker leaves marked, the sweep settles later; so an event may be published
 * twice, under the same event id, and the broker drops the second.
 *
 * Thread-safe.
 */
#pragma once

#include <sky/rpc/runtime.h>
#include <sky/store/store.h>

typedef struct SkyPending SkyPending;

typedef struct SkyPendingOptions {
  SkyRpc *rpc; /* its workers settle */
  SkyStore *store;
  const SkyCollection *collection;
  const char *index; /* whose first field is the mark */
  /* Publishes and unmarks one marked document. Idempotent; ABORTED (somebody else was faster) counts as done. */
  SkyStatus (*settle)(void *self, const SkyContext *context, const ProtobufCMessage *document, int64_t version,
                      SkyArena *arena);
  void *self;
} SkyPendingOptions;

/* RESOURCE_EXHAUSTED without memory. What the options point to must outlive it. */
SKY_MUST_USE SkyStatus sky_pending_create(const SkyPendingOptions *options, SkyPending **ret);
/* Waits for what is being settled. NULL-safe. */
void sky_pending_destroy(SkyPending *pending);

/* Settles one document in the background, soon; when the workers are all busy it is left to the sweep. */
void sky_pending_soon(SkyPending *pending, const SkyContext *context, const char *id);

/* Settles every marked document; the first error ends it. For sky_service_every(). */
SKY_MUST_USE SkyStatus sky_pending_sweep(SkyPending *pending, const SkyContext *context);
