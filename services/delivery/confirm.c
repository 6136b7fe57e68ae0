/* ConfirmDelivery: a client stream whose first message says what the proof is, and whose pieces together are its blob.
 */
#include "delivery/handlers.h"

#include <stdio.h>
#include <string.h>

#include <openssl/sha.h>

#include <sky/service/resource.h>

#include "delivery/store.h"
#include "fabrikam/delivery/v1/delivery.rpc.h"

enum { MAX_BLOB_BYTES = 1 << 20 };

/* In the call's arena. */
typedef struct Upload {
  DeliveryService *service;
  delivery_ConfirmDeliveryRequest *first; /* without its piece of the blob */
  SkyBuf blob;
} Upload;

static SkyStatus take_first(SkyCall *call, Upload *upload, const delivery_ConfirmDeliveryRequest *message) {
  delivery_ConfirmDeliveryRequest head = *message;
  SkyStatus violations = SKY_OK;
  if (message->delivery_id[0] == '\0')
    sky_violations_add(&violations, "delivery_id", "is required in the first message");
  if (message->type == common_CONFIRMATION_TYPE_UNSPECIFIED || message->type == common_CONFIRMATION_TYPE_NONE)
    sky_violations_add(&violations, "type", "must say what kind of proof it is");
  SKY_TRY(violations);
  head.chunk = (ProtobufCBinaryData){0, NULL};
  return delivery_ConfirmDeliveryRequest_copy(&head, sky_call_arena(call), &upload->first);
}

static SkyStatus take_message(SkyCall *call, Upload *upload, const delivery_ConfirmDeliveryRequest *message) {
  if (upload->first == NULL)
    SKY_TRY(take_first(call, upload, message));
  sky_buf_append(&upload->blob, message->chunk.data, message->chunk.len);
  if (!upload->blob.failed)
    return SKY_OK;
  SkyStatus violations = SKY_OK;
  sky_violations_add(&violations, "chunk", "all pieces together may have %d bytes", MAX_BLOB_BYTES);
  return sky_status_with_reason(violations, "CONFIRMATION_TOO_LARGE");
}

static SkyStatus check_fits(const DeliveryDocument *document, const delivery_ConfirmDeliveryRequest *first) {
  const delivery_Delivery *delivery = document->delivery;
  const common_DeliveryStage stage = delivery->status->stage;
  if (stage == common_DELIVERY_STAGE_CANCELLED || stage == common_DELIVERY_STAGE_FAILED)
    return sky_status_with_reason(SKY_FAILED_PRECONDITION("delivery %s has ended without arriving", document->id),
                                  "DELIVERY_FINAL");
  if (stage != common_DELIVERY_STAGE_COMPLETED && stage != common_DELIVERY_STAGE_HEADED_TO_DROPOFF)
    return sky_status_with_reason(SKY_FAILED_PRECONDITION("delivery %s has not reached its drop-off", document->id),
                                  "DELIVERY_NOT_AT_DROPOFF");
  const common_ConfirmationType wanted = delivery->order->confirmation_required;
  const bool any = wanted == common_CONFIRMATION_TYPE_UNSPECIFIED || wanted == common_CONFIRMATION_TYPE_NONE;
  if (!any && wanted != first->type)
    return sky_status_with_reason(SKY_FAILED_PRECONDITION("delivery %s asks for another kind of proof", document->id),
                                  "CONFIRMATION_TYPE_WRONG");
  return SKY_OK;
}

/* Under its content, so it does no harm when the proof is not written any more, or is another one. */
static SkyStatus insert_blob(SkyCall *call, Upload *upload, const delivery_Confirmation *confirmation) {
  char hex[2 * SHA256_DIGEST_LENGTH + 1];
  for (size_t i = 0; i < SHA256_DIGEST_LENGTH; i++)
    snprintf(hex + 2 * i, 3, "%02x", confirmation->sha256.data[i]);
  delivery_store_BlobDocument document = delivery_store_BlobDocument_INIT;
  document.id = sky_call_printf(call, "%s/%s", confirmation->delivery_id, hex);
  document.blob = (ProtobufCBinaryData){upload->blob.size, upload->blob.data};
  if (document.id == NULL)
    return sky_status_no_memory();
  SkyStatus status =
      sky_store_insert(upload->service->aggregate.store, sky_call_context(call), &delivery_blobs, &document.base);
  sky_status_take(&status, SKY_CODE_ALREADY_EXISTS);
  return status;
}

static SkyStatus insert(SkyCall *call, Upload *upload, delivery_Confirmation *confirmation) {
  SKY_TRY(insert_blob(call, upload, confirmation));
  delivery_store_ConfirmationDocument document = delivery_store_ConfirmationDocument_INIT;
  document.id = confirmation->delivery_id;
  document.confirmation = confirmation;
  return sky_store_insert(upload->service->aggregate.store, sky_call_context(call), &delivery_confirmations,
                          &document.base);
}

/* The same proof again is the same proof; another one is refused. */
static SkyStatus compare(SkyCall *call, Upload *upload, const delivery_Confirmation *confirmation,
                         delivery_Confirmation **ret) {
  ProtobufCMessage *message;
  SKY_TRY(sky_store_get(upload->service->aggregate.store, sky_call_context(call), &delivery_confirmations,
                        confirmation->delivery_id, sky_call_arena(call), &message, NULL));
  delivery_Confirmation *stored = ((delivery_store_ConfirmationDocument *)message)->confirmation;
  if (stored->sha256.len != confirmation->sha256.len ||
      memcmp(stored->sha256.data, confirmation->sha256.data, stored->sha256.len) != 0)
    return SKY_ALREADY_EXISTS("delivery %s is confirmed already", confirmation->delivery_id);
  *ret = stored;
  return SKY_OK;
}

static SkyStatus store(SkyCall *call, Upload *upload, delivery_ConfirmDeliveryResponse *response) {
  DeliveryService *service = upload->service;
  SkyArena *arena = sky_call_arena(call);
  DeliveryDocument *document;
  if (upload->first == NULL)
    return SKY_INVALID_ARGUMENT("the stream has no message");
  SKY_TRY(delivery_load(&service->aggregate, sky_call_context(call), upload->first->delivery_id, arena, &document));
  SKY_TRY(check_fits(document, upload->first));
  delivery_Confirmation *confirmation = delivery_Confirmation_create(arena);
  uint8_t *digest = sky_arena_alloc(arena, SHA256_DIGEST_LENGTH);
  if (confirmation == NULL || digest == NULL)
    return sky_status_no_memory();
  SHA256(upload->blob.data == NULL ? (const uint8_t *)"" : upload->blob.data, upload->blob.size, digest);
  confirmation->delivery_id = upload->first->delivery_id;
  confirmation->type = upload->first->type;
  confirmation->content_type = upload->first->content_type;
  confirmation->size_bytes = (int64_t)upload->blob.size;
  confirmation->sha256 = (ProtobufCBinaryData){SHA256_DIGEST_LENGTH, digest};
  confirmation->location = upload->first->location;
  confirmation->confirm_time = upload->first->confirm_time != NULL
                                   ? upload->first->confirm_time
                                   : sky_timestamp_create(arena, sky_clock_wall_ms(service->aggregate.clock));
  response->confirmation = confirmation;
  SkyStatus status = insert(call, upload, confirmation);
  if (sky_status_take(&status, SKY_CODE_ALREADY_EXISTS))
    return compare(call, upload, confirmation, &response->confirmation);
  return status;
}

static void end(SkyCall *call, Upload *upload, SkyStatus status) {
  sky_buf_finish(&upload->blob);
  sky_call_finish(call, status);
}

static void on_message(void *user, SkyCall *call, SkyStatus status, const delivery_ConfirmDeliveryRequest *message) {
  Upload *upload = user;
  if (status != SKY_OK) {
    end(call, upload, status);
    return;
  }
  if (message == NULL) {
    end(call, upload, store(call, upload, (delivery_ConfirmDeliveryResponse *)sky_call_response(call)));
    return;
  }
  status = take_message(call, upload, message);
  if (status != SKY_OK)
    end(call, upload, status);
  else
    delivery_DeliveryService_confirm_delivery_read(call, on_message, upload);
}

SkyStatus delivery_confirm(void *self, SkyCall *call, delivery_ConfirmDeliveryResponse *response) {
  Upload *upload = sky_arena_alloc(sky_call_arena(call), sizeof(*upload));
  if (upload == NULL)
    return sky_status_no_memory();
  upload->service = self;
  sky_buf_init(&upload->blob, MAX_BLOB_BYTES);
  SkyStatus deferred = sky_call_defer(call);
  delivery_DeliveryService_confirm_delivery_read(call, on_message, upload);
  return deferred;
}
