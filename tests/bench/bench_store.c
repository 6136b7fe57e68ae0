/*
 * What the store costs: bench-store [--seconds S] [URI]; URI is sqlite:DIR (a new folder by default) or mongodb://...
 *
 * One collection with two indexes, documents of about 250 bytes. Each line: operations per second, CPU microseconds per
 * operation (user and system, this process with its writer thread; a server's own are not in it) and latency as the
 * caller sees it. Runs on one machine drift; compare within one run.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <sky/core/id.h>
#include <sky/store/store.h>

#include "document.pb-c.h"

enum { MAX_THREADS = 16, MAX_SAMPLES = 1 << 20, GROUP = 256, PAGE = 50 };

static const SkyIndex indexes[] = {
    {.name = "by_owner", .fields = {"owner_id", "create_time"}},
    {.name = "by_stage", .fields = {"stage", "number"}},
};
static const SkyCollection collection = {
    .name = "bench", .type = &storetest__document__descriptor, .id_field = "id", .indexes = indexes, .index_count = 2};

static SkyStore *store;
static atomic_uint_fast64_t next_number; /* of the next document to insert */
static double seconds = 2;

/* ---- documents ---- */

typedef struct Sample {
  Storetest__Document document;
  Google__Protobuf__Timestamp time;
  char id[48], owner[32];
} Sample;

static void id_of(uint64_t number, char id[48]) {
  snprintf(id, 48, "0193a1b2-%012" PRIx64 "-%" PRIu64, number * UINT64_C(0x9e3779b97f4a7c15) >> 16, number);
}

/* Spread like UUIDs over the index, as ids of version 4 and 5 are. */
static void sample_init(Sample *sample, uint64_t number) {
  storetest__document__init(&sample->document);
  google__protobuf__timestamp__init(&sample->time);
  id_of(number, sample->id);
  snprintf(sample->owner, sizeof(sample->owner), "owner-%" PRIu64, number % 1000);
  sample->time.seconds = 1795230858 + (int64_t)number;
  sample->document.id = sample->id;
  sample->document.owner_id = sample->owner;
  sample->document.stage = (Storetest__Stage)(number % 4);
  sample->document.number = (int64_t)number;
  sample->document.create_time = &sample->time;
  sample->document.reference =
      "a pickup in Pike Street, to be flown to the harbour before noon, and signed for by hand";
  sample->document.a_double = 47.6062;
  sample->document.a_float = 122.3F;
}

static void must(SkyStatus status, const char *what) {
  if (status == SKY_OK)
    return;
  fprintf(stderr, "%s: %s\n", what, sky_status_message(status));
  exit(EXIT_FAILURE);
}

/* ---- what is measured; each does `weight` operations ---- */

static void insert_one(const SkyContext *context, uint64_t seed, SkyArena *arena) {
  Sample sample;
  sample_init(&sample, next_number++);
  must(sky_store_insert(store, context, &collection, &sample.document.base), "insert");
}

static void insert_group(const SkyContext *context, uint64_t seed, SkyArena *arena) {
  static _Thread_local Sample samples[GROUP];
  const ProtobufCMessage *documents[GROUP];
  SkyStatus results[GROUP];
  for (size_t i = 0; i < GROUP; i++) {
    sample_init(&samples[i], next_number++);
    documents[i] = &samples[i].document.base;
  }
  must(sky_store_insert_many(store, context, &collection, documents, GROUP, results), "insert");
  for (size_t i = 0; i < GROUP; i++)
    must(results[i], "insert");
}

static uint64_t some_number(uint64_t seed) {
  return seed * UINT64_C(0x9e3779b97f4a7c15) % next_number;
}

static void get_one(const SkyContext *context, uint64_t seed, SkyArena *arena) {
  char id[48];
  ProtobufCMessage *document;
  id_of(some_number(seed), id);
  must(sky_store_get(store, context, &collection, id, arena, &document, NULL), "get");
}

static void replace_one(const SkyContext *context, uint64_t seed, SkyArena *arena) {
  char id[48];
  ProtobufCMessage *document;
  int64_t version;
  id_of(some_number(seed), id);
  must(sky_store_get(store, context, &collection, id, arena, &document, &version), "get");
  SkyStatus status = sky_store_replace(store, context, &collection, document, version, NULL);
  if (!sky_status_take(&status, SKY_CODE_ABORTED)) /* another thread chose the same */
    must(status, "replace");
}

static void find_page(const SkyContext *context, uint64_t seed, SkyArena *arena) {
  char owner[32];
  SkyPage page;
  snprintf(owner, sizeof(owner), "owner-%" PRIu64, some_number(seed) % 1000);
  const SkyQuery query = {.index = "by_owner", .equal = {SKY_V_TEXT(owner)}, .descending = true, .page_size = PAGE};
  must(sky_store_find(store, context, &collection, &query, arena, &page), "find");
}

typedef struct Scenario {
  const char *name;
  void (*run)(const SkyContext *context, uint64_t seed, SkyArena *arena);
  unsigned threads;
  unsigned weight; /* documents per call */
} Scenario;

static const Scenario scenarios[] = {
    {"insert, 1 caller", insert_one, 1, 1},
    {"insert, 8 callers", insert_one, 8, 1},
    {"insert_many of 256, 1 caller", insert_group, 1, GROUP},
    {"get, 1 caller", get_one, 1, 1},
    {"get, 4 callers", get_one, 4, 1},
    {"get and replace, 8 callers", replace_one, 8, 1},
    {"find a page of 50, 1 caller", find_page, 1, 1},
};

/* ---- running ---- */

typedef struct Worker {
  const Scenario *scenario;
  unsigned number;
  int64_t until_ns;
  uint64_t calls;
  uint32_t *samples; /* latency in ns / 64 */
  pthread_t thread;
} Worker;

static int64_t now_ns(void) {
  return sky_clock_monotonic_ns(sky_clock_system_borrow());
}

static void *work(void *user) {
  Worker *worker = user;
  SkyArena arena;
  sky_arena_init(&arena, 16 << 20);
  int64_t before = now_ns();
  while (before < worker->until_ns) {
    const SkyContext background = sky_context_background();
    const SkyContext context = sky_context_with_timeout_ms(&background, 10000);
    worker->scenario->run(&context, worker->number + MAX_THREADS * ++worker->calls, &arena);
    sky_arena_reset(&arena);
    const int64_t after = now_ns();
    worker->samples[worker->calls % (MAX_SAMPLES / MAX_THREADS)] = (uint32_t)((after - before) / 64);
    before = after;
  }
  sky_arena_finish(&arena);
  return NULL;
}

static double cpu_us(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
         (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static int compare(const void *a, const void *b) {
  const uint32_t first = *(const uint32_t *)a, second = *(const uint32_t *)b;
  return (first > second) - (first < second);
}

static void report(const Scenario *scenario, const Worker *workers, double took_s, double cpu, uint32_t *samples) {
  uint64_t calls = 0;
  size_t count = 0;
  for (unsigned i = 0; i < scenario->threads; i++) {
    const size_t kept = workers[i].calls < MAX_SAMPLES / MAX_THREADS ? workers[i].calls : MAX_SAMPLES / MAX_THREADS;
    memmove(samples + count, workers[i].samples, kept * sizeof(*samples));
    calls += workers[i].calls;
    count += kept;
  }
  qsort(samples, count, sizeof(*samples), compare);
  const double operations = (double)calls * scenario->weight;
  printf("%-30s %9.0f /s  %7.2f us CPU  p50 %8.1f us  p99 %8.1f us\n", scenario->name, operations / took_s,
         cpu / operations, (double)samples[count / 2] * 64e-3, (double)samples[count * 99 / 100] * 64e-3);
  fflush(stdout);
}

static void measure(const Scenario *scenario, uint32_t *samples) {
  Worker workers[MAX_THREADS];
  const double cpu_before = cpu_us();
  const int64_t begin = now_ns();
  for (unsigned i = 0; i < scenario->threads; i++) {
    workers[i] = (Worker){.scenario = scenario, .number = i, .until_ns = begin + (int64_t)(seconds * 1e9)};
    workers[i].samples = samples + (size_t)i * (MAX_SAMPLES / MAX_THREADS);
    pthread_create(&workers[i].thread, NULL, work, &workers[i]);
  }
  for (unsigned i = 0; i < scenario->threads; i++)
    pthread_join(workers[i].thread, NULL);
  const double took_s = (double)(now_ns() - begin) / 1e9;
  report(scenario, workers, took_s, cpu_us() - cpu_before, samples);
}

int main(int argc, char **argv) {
  char folder[] = "/tmp/bench-store-XXXXXX", uri[64];
  for (; argc > 2 && strcmp(argv[1], "--seconds") == 0; argc -= 2, argv += 2)
    seconds = atof(argv[2]);
  const bool own = argc < 2;
  if (own && mkdtemp(folder) == NULL)
    return EXIT_FAILURE;
  snprintf(uri, sizeof(uri), "sqlite:%s", folder);
  const SkyCollection *collections[] = {&collection};
  char database[32];
  snprintf(database, sizeof(database), "bench_%d", getpid());
  const SkyStoreOptions options = {
      .uri = own ? uri : argv[1], .database = database, .collections = collections, .collection_count = 1};
  must(sky_store_open(&options, &store), "open");
  uint32_t *samples = malloc(MAX_SAMPLES * sizeof(*samples));
  for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++)
    measure(&scenarios[i], samples);
  free(samples);
  sky_store_close(store);
  char command[64];
  snprintf(command, sizeof(command), "rm -r %s", folder);
  return own && system(command) != 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
