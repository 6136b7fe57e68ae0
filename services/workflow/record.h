/*
 * Record: all that is known of one saga, and its way into messages: the state machine (saga.h), the order, what the
 * steps brought, and the versions that guard it in the store.
 *
 * Messages a record points to live in its own arena and are never changed, only replaced; so what is being written may
 * still point to them while the record moves on. Not thread-safe.
 */
#pragma once

#include <sky/core/id.h>
#include <sky/service/event_log.h>

#include "fabrikam/events/v1/workflow.sky.h"
#include "workflow/saga.h"
#include "workflow/workflow_store.sky.h"

enum { SAGA_ID_SIZE = SKY_UUID_TEXT_SIZE, SAGA_MAX_APPENDS = 12, SAGA_TERMS = 7 };

typedef struct SagaRecord {
  Saga saga;
  char id[SAGA_ID_SIZE];
  SkyArena arena;
  const common_DeliveryOrder *order; /* NULL: has not come yet */
  const common_DeliveryChange *change_terms;
  const protobuf_FieldMask *change_mask;
  char change_id[SAGA_ID_SIZE];
  int64_t change_position;            /* of the event that asked for it: grows from event to event */
  int64_t term_positions[SAGA_TERMS]; /* of the change that set the term last */
  const char *package_id;
  const char *drone_id;
  const char *carrier_booking_id;
  const common_Location *drone_location;
  const common_Eta *pickup_eta;
  const common_Eta *delivery_eta;
  int64_t request_ms; /* when the request was accepted */
  char order_digest[SAGA_ID_SIZE];
  int64_t create_ms; /* when the saga began */
  int64_t update_ms;
  uint64_t changes;         /* grows with every change: Workflow.version */
  int64_t record_version;   /* of its last record in the log; 0: none */
  int64_t document_version; /* of its document in the store; 0: none */
  bool document_open;       /* that says there is something left to do */
  bool document_lags;       /* when it was loaded: the log has a newer one */
  char locked_by[SAGA_ID_SIZE];
  int64_t lock_expire_ms;
} SagaRecord;

void saga_record_init(SagaRecord *record, const char *id);
void saga_record_finish(SagaRecord *record);

/* Takes a copy of the order. */
SKY_MUST_USE SkyStatus saga_record_set_order(SagaRecord *record, const common_DeliveryOrder *order);
/*
 * Takes a copy of a change that is to be made. Terms that a later change has set already are left out, for events that
 * had to wait come again behind others; *ret_any is false when none is left. INVALID_ARGUMENT when the order would not
 * be one any more. Without success the record has no change.
 */
SKY_MUST_USE SkyStatus saga_record_set_change(SagaRecord *record, const common_DeliveryChange *terms,
                                              const protobuf_FieldMask *mask, const char *id, int64_t position,
                                              bool *ret_any);
/* The change's terms become the order's, or are forgotten. */
SKY_MUST_USE SkyStatus saga_record_apply_change(SagaRecord *record);
void saga_record_drop_change(SagaRecord *record);
/* The order with the change's terms, in the arena. */
SKY_MUST_USE SkyStatus saga_changed_order(const SagaRecord *record, SkyArena *arena, common_DeliveryOrder **ret);
/* The order's terms as a change: what undoes the record's change. */
SKY_MUST_USE SkyStatus saga_reverse_change(const SagaRecord *record, SkyArena *arena, common_DeliveryChange **ret);
/* True when a mask names terms that a drone's orders depend on. */
bool saga_mask_needs_drone(const protobuf_FieldMask *mask);

/* There is something left to do. */
bool saga_record_is_open(const SagaRecord *record);
/* As clients see it. Shares messages with the record, so that both end together; texts are copied. */
SKY_MUST_USE SkyStatus saga_record_workflow(const SagaRecord *record, SkyArena *arena, workflow_Workflow **ret);
/* As it is stored, as of the log's next record. */
SKY_MUST_USE SkyStatus saga_record_document(const SagaRecord *record, SkyArena *arena, workflow_store_Saga **ret);
/* Fills a fresh record (after init) from a document. */
SKY_MUST_USE SkyStatus saga_record_restore(SagaRecord *record, const workflow_store_Saga *document);

/* Events of the contract that news amount to. */
unsigned saga_news_count(const SagaNews *news);
/*
 * The events that tell the log (and the world) of the record's news; at most SAGA_MAX_APPENDS. document: as stored. The
 * record's changes must have grown by at least saga_news_count(), for every event has a version of its own.
 */
SKY_MUST_USE SkyStatus saga_record_appends(const SagaRecord *record, const workflow_store_Saga *document,
                                           SkyArena *arena, SkyAppend *appends, size_t *ret_count);

/*
 * Reads a saga: its document, brought up to date with its log. NOT_FOUND when there is none. The record must be
 * initialised.
 */
SKY_MUST_USE SkyStatus saga_record_load(SagaRecord *record, SkyStore *store, SkyEventLog *log,
                                        const SkyContext *context);
