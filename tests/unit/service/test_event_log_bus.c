/*
 * The event log on a real nats-server, and on every store there is: what is appended arrives once and in order, through
 * an outage of the broker and the death of the process that appended.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sky/service/event_log.h>

#include "../bus/bus_kit.h"
#include "../store/ferretdb.h"

enum { AGGREGATES = 4, STEPS = 10 };

static const SkyCollection collection = SKY_EVENT_LOG_COLLECTION("test_events");
static const SkyEventType *const types[] = {&noted_type, NULL};

static const char *store_uri; /* of the suite that runs */
static char database[64];
static char folder[64];
static SkyStore *store;
static SkyEventLog *event_log;
static SkyContext context;
static Recorder recorder;

static void open_log(void) {
  static const SkyCollection *const collections[] = {&collection};
  const SkyStoreOptions store_options = {
      .uri = store_uri, .database = database, .collections = collections, .collection_count = 1};
  must(sky_store_open(&store_options, &store));
  const SkyEventLogOptions options = {
      .store = store, .bus = bus, .clock = sky_clock_system_borrow(), .collection = &collection, .types = types};
  must(sky_event_log_create(&options, &event_log));
}

static void close_log(void) {
  sky_event_log_destroy(event_log);
  sky_store_close(store);
  event_log = NULL;
  store = NULL;
}

static void setup(void) {
  snprintf(database, sizeof(database), "log_%d", getpid());
  const SkyContext background = sky_context_background();
  context = sky_context_with_timeout_ms(&background, 60000);
  recorder_init(&recorder);
  start_all();
  open_log();
}

static void teardown(void) {
  close_log();
  stop_all();
}

/* Appends step `step` of every aggregate; the number tells both. */
static void append_step(int step) {
  for (int aggregate = 0; aggregate < AGGREGATES; aggregate++) {
    char id[32], event_id[48];
    Happened event = SKY__BUS__TEST__HAPPENED__INIT;
    const SkyAppend append = {&noted_type, &event.base};
    snprintf(id, sizeof(id), "thing-%d", aggregate);
    snprintf(event_id, sizeof(event_id), "%s-%d", id, step);
    event.id = event_id;
    event.thing_id = id;
    event.number = aggregate * 100 + step;
    must(sky_event_log_append(event_log, &context, id, step, &append, 1));
  }
}

static void sweep_until_published(void) {
  SkyStatus status;
  while ((status = sky_event_log_sweep(event_log, &context, 0)) != SKY_OK) {
    sky_status_free(status);
    must(sky_context_check(&context));
    nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL); /* until the bus has found its server again */
  }
}

/* Whatever happened on the way: each event is in the stream, each aggregate's in order. */
static atomic_bool is_out_of_order;

static SkyStatus check_order(Recorder *self, SkyIncoming *incoming, const Happened *event) {
  static int next[AGGREGATES];
  const int aggregate = (int)event->number / 100, step = (int)event->number % 100;
  if (step > next[aggregate])
    is_out_of_order = true;
  if (step == next[aggregate])
    next[aggregate]++;
  return SKY_OK;
}

static bool all_have_come(void) {
  for (unsigned aggregate = 0; aggregate < AGGREGATES; aggregate++) {
    for (unsigned step = 0; step < STEPS; step++) {
      if (recorder_seen(&recorder, aggregate * 100 + step) == 0)
        return false;
    }
  }
  return true;
}

static void assert_all_arrived_in_order(void) {
  ck_assert_int_eq(stream_messages("NOTES"), AGGREGATES * STEPS); /* the broker dropped what was published twice */
  SkyEventRoute route = recorder_route(&recorder, &noted_type);
  recorder.answer = check_order;
  consume(&route, (SkyConsumerOptions){.stream = "NOTES", .workers = 1});
  SKY_CHECK_EVENTUALLY(all_have_come());
  ck_assert(!is_out_of_order);
}

START_TEST(events_arrive_in_order) {
  for (int step = 0; step < STEPS; step++)
    append_step(step);
  SKY_CHECK_EVENTUALLY(sky_event_log_stats(event_log).pending == 0);
  sweep_until_published();
  assert_all_arrived_in_order();
}
END_TEST

START_TEST(an_outage_of_the_broker_loses_nothing) {
  for (int step = 0; step < 3; step++)
    append_step(step);
  nats_server_kill(&server);
  for (int step = 3; step < 7; step++)
    append_step(step); /* the store is there, so the change is made */
  nats_server_start(&server);
  for (int step = 7; step < STEPS; step++)
    append_step(step);
  SKY_CHECK_EVENTUALLY(sky_event_log_stats(event_log).pending == 0);
  sweep_until_published();
  assert_all_arrived_in_order();
}
END_TEST

/* The process dies with records appended and not published: another one sweeps them. */
START_TEST(a_dead_process_is_swept_after) {
  close_log();
  sky_bus_close(bus, 1000);
  bus = NULL;
  const pid_t child = fork();
  if (child == 0) {
    connect_bus();
    open_log();
    for (int step = 0; step < STEPS; step++)
      append_step(step);
    kill(getpid(), SIGKILL);
  }
  int how;
  ck_assert_int_eq(waitpid(child, &how, 0), child);
  ck_assert(WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL);
  connect_bus();
  wait_ready();
  open_log();
  sweep_until_published();
  assert_all_arrived_in_order();
}
END_TEST

static int run_on(const char *name, const char *uri) {
  const TTest *const tests[] = {events_arrive_in_order, an_outage_of_the_broker_loses_nothing,
                                a_dead_process_is_swept_after};
  store_uri = uri;
  return sky_check_run(name, setup, teardown, tests, 3);
}

int main(void) {
  char uri[80], command[80];
  strcpy(folder, "/tmp/skylog-XXXXXX");
  if (mkdtemp(folder) == NULL)
    return EXIT_FAILURE;
  snprintf(uri, sizeof(uri), "sqlite:%s", folder);
  int result = run_on("service/event_log on sqlite", uri);
  Ferretdb mongo;
  if (ferretdb_start(&mongo)) {
    result |= run_on("service/event_log on ferretdb", mongo.uri);
    ferretdb_stop(&mongo);
  } else {
    printf("SKIPPED service/event_log on ferretdb\n");
  }
  snprintf(command, sizeof(command), "rm -r %s", folder);
  return system(command) == 0 ? result : EXIT_FAILURE;
}
