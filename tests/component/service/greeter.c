/* skyhook-greeter: the service under test. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include <sky/core/deadline_wait.h>
#include <sky/service/service.h>

#include "greeter.event.h"
#include "greeter.rpc.h"

typedef struct Greeter {
  SkyService *service;
  char *secret_word;
  SkyConsumer *consumer;
} Greeter;

static const SkyCollection greetings = {
    .name = "greetings", .type = &component__v1__greeted__descriptor, .id_field = "id"};
static const SkyCollection *const collections[] = {&greetings};

static SkyStatus greet(void *self, SkyCall *call, const component_GreetRequest *request,
                       component_GreetResponse *response) {
  const Greeter *greeter = self;
  char id[SKY_UUID_TEXT_SIZE];
  SkyUuid uuid =
      sky_uuid_v7(sky_clock_wall_ms(sky_service_clock(greeter->service)), sky_service_random(greeter->service));
  sky_uuid_format(&uuid, id);
  component_Greeted greeted = COMPONENT__V1__GREETED__INIT;
  greeted.id = id;
  greeted.name = request->name;
  SKY_TRY(sky_store_insert(sky_service_store(greeter->service), sky_call_context(call), &greetings, &greeted.base));
  if (request->publish)
    SKY_TRY(component_Greeted_publish(sky_service_bus(greeter->service), sky_call_context(call), &greeted));
  response->text = sky_call_printf(call, "hello, %s", request->name);
  return SKY_OK;
}

/* Set by SIGUSR1: who is held is let go. */
static atomic_int let_go;

static void on_let_go(int number) {
  atomic_store(&let_go, number);
}

/* Work that takes its time, and gives up when the call is over. */
static SkyStatus hold(void *self, SkyCall *call, const component_HoldRequest *request,
                      component_HoldResponse *response) {
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t never;
  sky_deadline_cond_init(&never);
  const int64_t until_ns = sky_clock_monotonic_ns(sky_clock_system_borrow()) + request->hold_ms * SKY_NS_PER_MS;
  pthread_mutex_lock(&mutex);
  for (int64_t now_ns; (now_ns = sky_clock_monotonic_ns(sky_clock_system_borrow())) < until_ns &&
                       !sky_call_is_cancelled(call) && atomic_load(&let_go) == 0;) {
    const int64_t look_ns = now_ns + 20 * SKY_NS_PER_MS;
    sky_deadline_cond_wait(&never, &mutex, look_ns < until_ns ? look_ns : until_ns);
  }
  pthread_mutex_unlock(&mutex);
  pthread_cond_destroy(&never);
  return sky_context_check(sky_call_context(call));
}

static SkyStatus relay(void *self, SkyCall *call, const component_GreetRequest *request,
                       component_GreetResponse *response) {
  const Greeter *greeter = self;
  component_GreetResponse *answer = NULL;
  SKY_TRY(component_GreeterService_greet(sky_service_peer(greeter->service, "friend"), sky_call_context(call), request,
                                         sky_call_arena(call), &answer));
  response->text = answer->text;
  return SKY_OK;
}

static SkyStatus on_greeted(void *self, SkyIncoming *incoming, const component_Greeted *event) {
  return SKY_OK;
}

static SkyStatus beat(void *user, const SkyContext *context) {
  return SKY_OK;
}

static SkyStatus start(void *self, SkyService *service) {
  static const component_GreeterServiceHandlers handlers = {.greet = greet, .hold = hold, .relay = relay};
  Greeter *greeter = self;
  greeter->service = service;
  const SkyEventRoute routes[] = {component_Greeted_route(on_greeted, greeter)};
  const SkyConsumerOptions options = {.stream = "GREETINGS", .durable = "greeter", .routes = routes, .route_count = 1};
  SKY_TRY(sky_bus_consume(sky_service_bus(service), &options, &greeter->consumer));
  SKY_TRY(sky_service_every(service, "beat", 50, beat, greeter));
  return sky_server_add(sky_service_server(service), component_GreeterService_bind(&handlers, greeter));
}

int main(int argc, char **argv) {
  static const char *const subjects[] = {"component.greeter.>", NULL};
  static const SkyStreamConfig streams[] = {{.name = "GREETINGS", .subjects = subjects, .max_bytes = 1 << 20}};
  static const char *const peers[] = {"friend", NULL};
  static Greeter greeter;
  const SkySetting settings[] = {{.flag = "secret-word",
                                  .environment = "GREETER_SECRET_WORD",
                                  .kind = SKY_SETTING_TEXT,
                                  .value = &greeter.secret_word,
                                  .default_value = "please",
                                  .help = "what must not be shown"}};
  const SkyServiceDefinition definition = {.name = "greeter",
                                           .summary = "Greets.",
                                           .settings = settings,
                                           .setting_count = 1,
                                           .collections = collections,
                                           .collection_count = 1,
                                           .streams = streams,
                                           .stream_count = 1,
                                           .peers = peers,
                                           .start = start,
                                           .self = &greeter};
  signal(SIGUSR1, on_let_go);
  return sky_service_main(argc, argv, &definition);
}
