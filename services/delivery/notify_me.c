#include "delivery/handlers.h"

#include <sky/codec/message.h>
#include <sky/service/resource.h>

#include "delivery/store.h"

/* Namespace of the ids of wishes. */
static const SkyUuid wishes = {
    {0x5a, 0x1c, 0x9e, 0x02, 0x7d, 0x44, 0x4e, 0x19, 0x8b, 0x61, 0x0f, 0x2d, 0x90, 0xc3, 0x11, 0x6e}};

static SkyStatus name_wish(DeliveryService *service, SkyCall *call,
                           const delivery_CreateNotifyMeRequestRequest *request, const char **ret) {
  char text[SKY_UUID_TEXT_SIZE];
  sky_resource_id(&wishes, request->delivery_id, request->idempotency_key, sky_clock_wall_ms(service->aggregate.clock),
                  service->aggregate.random, text);
  *ret = sky_call_strdup(call, text);
  return *ret == NULL ? sky_status_no_memory() : SKY_OK;
}

static SkyStatus check_targets(const common_NotifyTargets *targets) {
  SkyStatus violations = SKY_OK;
  if (targets->email[0] == '\0' && targets->sms[0] == '\0' && targets->webhook[0] == '\0')
    sky_violations_add(&violations, "notify_me_request.targets", "names nobody: give email, sms or webhook");
  return violations;
}

/* The key of a wish that was made before must not come with another one. */
static SkyStatus check_same(const delivery_NotifyMeRequest *wanted, const delivery_NotifyMeRequest *stored) {
  delivery_NotifyMeRequest wish = *wanted;
  wish.create_time = stored->create_time;
  if (sky_message_same(&wish.base, &stored->base))
    return SKY_OK;
  return sky_status_with_reason(SKY_ALREADY_EXISTS("the idempotency key was used for another wish"),
                                "IDEMPOTENCY_KEY_REUSED");
}

SkyStatus delivery_create_notify_me(void *self, SkyCall *call, const delivery_CreateNotifyMeRequestRequest *request,
                                    delivery_CreateNotifyMeRequestResponse *response) {
  DeliveryService *service = self;
  const SkyContext *context = sky_call_context(call);
  SkyArena *arena = sky_call_arena(call);
  DeliveryDocument *delivery;
  SKY_TRY(check_targets(request->notify_me_request->targets));
  SKY_TRY(delivery_load(&service->aggregate, context, request->delivery_id, arena, &delivery));
  delivery_NotifyMeRequest wish = *request->notify_me_request;
  SKY_TRY(name_wish(service, call, request, &wish.id));
  wish.create_time = sky_timestamp_create(arena, sky_clock_wall_ms(service->aggregate.clock));
  delivery_store_NotifyMeDocument document = delivery_store_NotifyMeDocument_INIT;
  document.id = wish.id;
  document.delivery_id = request->delivery_id;
  document.wish = &wish;
  SkyStatus status = sky_store_insert(service->aggregate.store, context, &delivery_notify_mes, &document.base);
  if (!sky_status_take(&status, SKY_CODE_ALREADY_EXISTS)) {
    SKY_TRY(status);
    return delivery_NotifyMeRequest_copy(&wish, arena, &response->notify_me_request);
  }
  ProtobufCMessage *stored;
  SKY_TRY(sky_store_get(service->aggregate.store, context, &delivery_notify_mes, wish.id, arena, &stored, NULL));
  response->notify_me_request = ((delivery_store_NotifyMeDocument *)stored)->wish;
  return check_same(&wish, response->notify_me_request);
}
