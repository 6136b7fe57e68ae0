/* Event bindings, on a bus that only remembers what it was asked. */
#include "sky_check.h"

#include <sky/bus/bus.h>

#include "torture.event.h"

#define M(name) plugin_v1beta1_##name

static struct {
  SkyBus *bus;
  const SkyContext *context;
  const SkyEventType *type;
  const ProtobufCMessage *event;
  SkyOnPublished done;
  void *user;
} published;

SkyStatus sky_event_publish(SkyBus *bus, const SkyContext *context, const SkyEventType *type,
                            const ProtobufCMessage *event) {
  published.bus = bus;
  published.context = context;
  published.type = type;
  published.event = event;
  return SKY_UNAVAILABLE("no broker");
}

void sky_event_publish_async(SkyBus *bus, const SkyContext *context, const SkyEventType *type,
                             const ProtobufCMessage *event, SkyOnPublished done, void *user) {
  sky_status_free(sky_event_publish(bus, context, type, event));
  published.done = done;
  published.user = user;
}

static int token;

START_TEST(the_type_says_what_the_contract_says) {
  const SkyEventType *type = &M(Happened_event);
  ck_assert_str_eq(type->name, "torture.of_the.plugin.v1beta1.Happened");
  ck_assert_str_eq(type->subject, "test.happened.v1");
  ck_assert_str_eq(type->stream, "TESTS");
  ck_assert_str_eq(type->aggregate_id_field, "thing_id");
  ck_assert_str_eq(type->event_id_field, "id");
  ck_assert_ptr_eq(type->message.descriptor, M(Happened_descriptor));
  ck_assert_ptr_eq(type->message.rules, M(Happened_rules));
  ck_assert_str_eq(M(Moved_event).stream, ""); /* options set one by one, no stream */
  ck_assert_str_eq(M(Moved_event).subject, "test.moved.v1");
  ck_assert_str_eq(M(Moved_event).event_id_field, "id");
}
END_TEST

static void on_published(void *user, SkyStatus status, const SkyConfirmation *confirmation) {
}

START_TEST(publishing_hands_everything_through) {
  M(Happened) event = M(Happened_INIT);
  const SkyContext context = sky_context_background();
  SkyStatus status = M(Happened_publish)((SkyBus *)&token, &context, &event);
  ck_assert_int_eq(sky_status_code(status), SKY_CODE_UNAVAILABLE);
  sky_status_free(status);
  ck_assert_ptr_eq(published.bus, (SkyBus *)&token);
  ck_assert_ptr_eq(published.context, &context);
  ck_assert_ptr_eq(published.type, &M(Happened_event));
  ck_assert_ptr_eq(published.event, &event.base);
  M(Moved) moved = M(Moved_INIT);
  M(Moved_publish_async)(NULL, &context, &moved, on_published, &token);
  ck_assert_ptr_eq(published.type, &M(Moved_event));
  ck_assert(published.done == on_published);
  ck_assert_ptr_eq(published.user, &token);
}
END_TEST

static SkyStatus on_happened(void *self, SkyIncoming *incoming, const M(Happened) * event) {
  ck_assert_ptr_eq(self, &token);
  ck_assert_ptr_eq(incoming, (SkyIncoming *)&published);
  return SKY_NOT_FOUND("%s", event->thing_id);
}

START_TEST(a_route_calls_the_typed_handler) {
  const SkyEventRoute route = M(Happened_route)(on_happened, &token);
  M(Happened) event = M(Happened_INIT);
  event.thing_id = "thing-7";
  ck_assert_ptr_eq(route.type, &M(Happened_event));
  SkyStatus status = route.invoke(&route, (SkyIncoming *)&published, &event.base);
  ck_assert_str_eq(sky_status_message(status), "thing-7");
  sky_status_free(status);
}
END_TEST

SKY_CHECK_MAIN("protoc-gen-sky/events", the_type_says_what_the_contract_says, publishing_hands_everything_through,
               a_route_calls_the_typed_handler)
