/*
 * Ten thousand server streams open at once, server and client in one process: none costs a thread, each gets its
 * messages, and the server tells how many there are. Messages are raw bytes.
 */
#include "loopback.h"

#include <dirent.h>
#include <string.h>

#include <sky/rpc/raw.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { STREAMS = 1500 }; /* each costs a multiple there */
#else
enum { STREAMS = 10000 };
#endif
enum { MOST_THREADS = 40 }; /* our workers, and the core's own few */

#define RAW                                                                                                            \
  { .descriptor = &sky_raw_message_descriptor }

static const SkyMethodDescriptor method = {.name = "Watch",
                                           .path = "/t.Many/Watch",
                                           .kind = SKY_SERVER_STREAMING,
                                           .request = RAW,
                                           .response = RAW,
                                           .inline_handler = true};
static const SkyServiceDescriptor service = {.name = "t.Many", .methods = &method, .method_count = 1};

/* --- server: keeps the calls, for the test to write to --- */

static SkyCall *calls[STREAMS];
static atomic_size_t call_count;

static SkyStatus watch(const void *table, void *self, SkyCall *call, const ProtobufCMessage *request,
                       ProtobufCMessage *response) {
  SkyStatus deferred = sky_call_defer(call);
  calls[atomic_load(&call_count)] = call; /* handlers run one after the other, on the I/O thread */
  atomic_fetch_add(&call_count, 1);
  return deferred;
}

static const SkyInvoke invokes[] = {watch};

/* --- client --- */

static atomic_size_t messages, ended, ended_well;

static void on_message(void *user, SkyClientStream *stream, const ProtobufCMessage *message) {
  atomic_fetch_add(&messages, 1);
}

static void on_done(void *user, SkyStatus status) {
  atomic_fetch_add(&ended_well, status == SKY_OK);
  atomic_fetch_add(&ended, 1);
  sky_status_free(status);
}

static void open_streams(void) {
  const SkyRawMessage request = SKY_RAW_MESSAGE_INIT(SKY_STR(""));
  const SkyClientStreamHandler handler = {.on_message = on_message, .on_done = on_done};
  for (size_t i = 0; i < STREAMS; i++) {
    SkyClientStream *stream = NULL;
    ck_assert_ptr_null(sky_client_stream_open(client, &method, NULL, &request.base, handler, &stream));
    sky_client_stream_unref(stream);
  }
}

static size_t thread_count(void) {
  DIR *folder = opendir("/proc/self/task");
  size_t count = 0;
  ck_assert_ptr_nonnull(folder);
  while (readdir(folder) != NULL)
    count++;
  closedir(folder);
  return count - 2; /* . and .. */
}

static void write_to_all(void) {
  const SkyRawMessage message = SKY_RAW_MESSAGE_INIT(SKY_STR("news"));
  for (size_t i = 0; i < STREAMS; i++)
    ck_assert_ptr_null(sky_call_write(calls[i], &message.base));
}

START_TEST(ten_thousand_streams_share_a_few_threads) {
  start_server_of((SkyServiceBinding){.service = &service, .handlers = &service, .invoke = invokes}, NULL,
                  (SkyServerOptions){0});
  start_client((SkyClientOptions){.max_concurrent_calls = STREAMS});
  open_streams();
  SKY_CHECK_EVENTUALLY(atomic_load(&call_count) == STREAMS);
  ck_assert_uint_eq(sky_server_stats(server).active, STREAMS);
  ck_assert_uint_le(thread_count(), MOST_THREADS);
  for (size_t round = 1; round <= 2; round++) {
    write_to_all();
    SKY_CHECK_EVENTUALLY(atomic_load(&messages) == round * STREAMS);
  }
  for (size_t i = 0; i < STREAMS; i++)
    sky_call_finish(calls[i], SKY_OK);
  SKY_CHECK_EVENTUALLY(atomic_load(&ended) == STREAMS);
  ck_assert_uint_eq(atomic_load(&ended_well), STREAMS);
  SKY_CHECK_EVENTUALLY(sky_server_stats(server).active == 0);
  destroy_all();
}
END_TEST

SKY_CHECK_MAIN("rpc/many_streams", ten_thousand_streams_share_a_few_threads)
