/* Compression per call and per message, both ways, seen at the other end. Messages are raw bytes: their text says what
 * the handler does. */
#include "sky_check.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <sky/rpc/client.h>
#include <sky/rpc/raw.h>
#include <sky/rpc/server.h>

enum { LONG = 20000, MAX_MESSAGE = 1 << 20, SEEN = 8 };

#define RAW                                                                                                            \
  { .descriptor = &sky_raw_message_descriptor }

static const SkyMethodDescriptor methods[] = {
    {.name = "Ask", .path = "/sky.test.v1.Zip/Ask", .kind = SKY_UNARY, .request = RAW, .response = RAW},
    {.name = "Talk",
     .path = "/sky.test.v1.Zip/Talk",
     .kind = SKY_BIDI_STREAMING,
     .request = RAW,
     .response = RAW,
     .inline_handler = true},
};
static const SkyServiceDescriptor service = {.name = "sky.test.v1.Zip", .methods = methods, .method_count = 2};

static SkyRpc *rpc;
static SkyServer *server;
static SkyClient *client;
static SkyArena arena;
static char large[LONG];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards what the handlers saw */
static bool arrived_compressed[SEEN];                    /* by message */
static size_t arrived;

static SkyRawMessage raw(const void *data, size_t size) {
  return (SkyRawMessage)SKY_RAW_MESSAGE_INIT(((SkyStr){.data = data, .size = size}));
}

/* The number of messages that have come so far. */
static size_t note_arrival(const SkyCall *call) {
  pthread_mutex_lock(&lock);
  arrived_compressed[arrived++ % SEEN] = sky_call_message_was_compressed(call);
  const size_t count = arrived;
  pthread_mutex_unlock(&lock);
  return count;
}

static bool came_compressed(size_t index) {
  pthread_mutex_lock(&lock);
  ck_assert_uint_lt(index, arrived);
  const bool compressed = arrived_compressed[index];
  pthread_mutex_unlock(&lock);
  return compressed;
}

static size_t arrivals(void) {
  pthread_mutex_lock(&lock);
  const size_t count = arrived;
  pthread_mutex_unlock(&lock);
  return count;
}

/* Answers with the request; its first letter chooses how. */
static SkyStatus answer(SkyCall *call, char how) {
  switch (how) {
  case 'g':
    return sky_call_set_compression(call, SKY_COMPRESSION_GZIP);
  case 'd':
    return sky_call_set_compression(call, SKY_COMPRESSION_DEFLATE);
  case 'u':
    sky_call_compress_messages(call, false);
    return sky_call_set_compression(call, SKY_COMPRESSION_GZIP);
  default:
    return SKY_OK;
  }
}

static SkyStatus ask(const void *handlers, void *self, SkyCall *call, const ProtobufCMessage *request,
                     ProtobufCMessage *response) {
  const SkyRawMessage *bytes = (const void *)request;
  (void)note_arrival(call);
  ((SkyRawMessage *)(void *)response)->bytes = bytes->bytes;
  return answer(call, bytes->bytes.data[0]);
}

/* Messages of even number go uncompressed. */
static void on_message(void *user, SkyCall *call, SkyStatus status, const ProtobufCMessage *message) {
  if (status != SKY_OK || message == NULL) {
    sky_call_finish(call, status);
    return;
  }
  sky_call_compress_messages(call, note_arrival(call) % 2 == 1);
  status = sky_call_write(call, message);
  if (status != SKY_OK)
    sky_call_finish(call, status);
  else
    sky_call_read(call, on_message, NULL);
}

static SkyStatus talk(const void *handlers, void *self, SkyCall *call, const ProtobufCMessage *request,
                      ProtobufCMessage *response) {
  SKY_TRY(sky_call_set_compression(call, SKY_COMPRESSION_GZIP));
  SkyStatus deferred = sky_call_defer(call);
  sky_call_read(call, on_message, NULL);
  return deferred;
}

static const SkyInvoke invokes[] = {ask, talk};

static void connect_client(SkyClientOptions options) {
  char address[64];
  snprintf(address, sizeof(address), "127.0.0.1:%d", sky_server_port(server));
  options.target = address;
  ck_assert_ptr_null(sky_client_create(rpc, &options, &client));
}

static void start(SkyServerOptions server_options, SkyClientOptions client_options) {
  server_options.listen = "127.0.0.1:0";
  server_options.max_request_bytes = MAX_MESSAGE;
  client_options.max_response_bytes = MAX_MESSAGE;
  sky_arena_init(&arena, 8 << 20);
  memset(large, 'x', sizeof(large));
  arrived = 0;
  ck_assert_ptr_null(sky_rpc_create(NULL, &rpc));
  ck_assert_ptr_null(sky_server_create(rpc, &server_options, &server));
  ck_assert_ptr_null(
      sky_server_add(server, (SkyServiceBinding){.service = &service, .handlers = &service, .invoke = invokes}));
  ck_assert_ptr_null(sky_server_start(server));
  connect_client(client_options);
}

static void setup(void) {
  start((SkyServerOptions){0}, (SkyClientOptions){0});
}

static void teardown(void) {
  sky_client_destroy(client);
  sky_server_destroy(server);
  sky_rpc_destroy(rpc);
  sky_arena_finish(&arena);
}

static void on_end(void *user, const SkyClientCall *call, const SkyError *status) {
  *(bool *)user = sky_client_call_was_compressed(call);
}

/* The answer must be the request; true when it came compressed. */
static bool ask_server(char how, SkyCompression compression, size_t size) {
  bool was_compressed = false;
  const SkyCallOptions options = {.compression = compression, .on_end = on_end, .user = &was_compressed};
  SkyContext context = sky_context_background();
  context.call_options = &options;
  large[0] = how;
  const SkyRawMessage request = raw(large, size);
  ProtobufCMessage *response = NULL;
  SkyStatus status = sky_client_call(client, &methods[0], &context, &request.base, &arena, &response);
  ck_assert_msg(status == SKY_OK, "%s", sky_status_message(status));
  const SkyStr bytes = ((SkyRawMessage *)(void *)response)->bytes;
  ck_assert_uint_eq(bytes.size, size);
  ck_assert_mem_eq(bytes.data, large, size);
  return was_compressed;
}

START_TEST(nothing_is_compressed_unasked) {
  ck_assert(!ask_server('-', SKY_COMPRESSION_IDENTITY, LONG));
  ck_assert(!came_compressed(0));
}
END_TEST

START_TEST(a_call_compresses_its_request) {
  ck_assert(!ask_server('-', SKY_COMPRESSION_GZIP, LONG));
  ck_assert(!ask_server('-', SKY_COMPRESSION_DEFLATE, LONG));
  ck_assert(!ask_server('-', SKY_COMPRESSION_IDENTITY, LONG));
  ck_assert(came_compressed(0) && came_compressed(1) && !came_compressed(2));
}
END_TEST

START_TEST(a_handler_compresses_its_response) {
  ck_assert(ask_server('g', SKY_COMPRESSION_IDENTITY, LONG));
  ck_assert(ask_server('d', SKY_COMPRESSION_IDENTITY, LONG));
  ck_assert(!ask_server('u', SKY_COMPRESSION_IDENTITY, LONG));
  ck_assert(!ask_server('-', SKY_COMPRESSION_IDENTITY, LONG)); /* the object of the call is used again */
}
END_TEST

START_TEST(what_would_not_become_smaller_goes_as_it_is) {
  ck_assert(!ask_server('g', SKY_COMPRESSION_GZIP, 1));
  ck_assert(!came_compressed(0));
}
END_TEST

START_TEST(defaults_of_server_and_client) {
  teardown();
  const SkyServerOptions server_options = {.compression = SKY_COMPRESSION_GZIP};
  const SkyClientOptions client_options = {.compression = SKY_COMPRESSION_DEFLATE};
  start(server_options, client_options);
  ck_assert(ask_server('-', SKY_COMPRESSION_IDENTITY, LONG));
  ck_assert(came_compressed(0));
}
END_TEST

START_TEST(a_message_that_grows_past_the_limit_is_refused) {
  const size_t size = MAX_MESSAGE + 1;
  char *bomb = calloc(1, size); /* a kilobyte on the wire */
  const SkyCallOptions options = {.compression = SKY_COMPRESSION_GZIP};
  SkyContext context = sky_context_background();
  context.call_options = &options;
  SkyRawMessage request = raw(bomb, size);
  ProtobufCMessage *response = NULL;
  SkyStatus status = sky_client_call(client, &methods[0], &context, &request.base, &arena, &response);
  ck_assert_int_eq(sky_status_code(status), SKY_CODE_RESOURCE_EXHAUSTED);
  ck_assert_ptr_nonnull(strstr(sky_status_message(status), "decompressed"));
  ck_assert_uint_eq(arrivals(), 0);
  sky_status_free(status);
  request.bytes.size--; /* as much as may be */
  status = sky_client_call(client, &methods[0], &context, &request.base, &arena, &response);
  ck_assert_ptr_null(status);
  free(bomb);
}
END_TEST

START_TEST(metadata_of_one_call) {
  const SkyMetadataEntry bad = {.key = "Not-Lower", .value = SKY_STR("x")};
  const SkyCallOptions options = {.metadata = &bad, .metadata_count = 1};
  SkyContext context = sky_context_background();
  context.call_options = &options;
  const SkyRawMessage request = raw(large, LONG);
  ProtobufCMessage *response = NULL;
  SkyStatus status = sky_client_call(client, &methods[0], &context, &request.base, &arena, &response);
  ck_assert_int_eq(sky_status_code(status), SKY_CODE_INVALID_ARGUMENT);
  sky_status_free(status);
  ck_assert_ptr_null(sky_context_child(&context).call_options); /* options are for one call, not for its children */
}
END_TEST

typedef struct Talk {
  pthread_mutex_t lock;
  bool compressed[SEEN];
  size_t count;
  bool done;
  SkyCode code;
} Talk;

static void on_answer(void *user, SkyClientStream *stream, const ProtobufCMessage *message) {
  Talk *talk = user;
  pthread_mutex_lock(&talk->lock);
  talk->compressed[talk->count++ % SEEN] = sky_client_stream_message_was_compressed(stream);
  pthread_mutex_unlock(&talk->lock);
}

static void on_done(void *user, SkyStatus status) {
  Talk *talk = user;
  pthread_mutex_lock(&talk->lock);
  talk->done = true;
  talk->code = sky_status_code(status);
  pthread_mutex_unlock(&talk->lock);
  sky_status_free(status);
}

static size_t count_of(Talk *talk) {
  pthread_mutex_lock(&talk->lock);
  const size_t count = talk->count;
  pthread_mutex_unlock(&talk->lock);
  return count;
}

static bool is_done(Talk *talk) {
  pthread_mutex_lock(&talk->lock);
  const bool done = talk->done;
  pthread_mutex_unlock(&talk->lock);
  return done;
}

START_TEST(a_stream_decides_by_message) {
  Talk talk = {.lock = PTHREAD_MUTEX_INITIALIZER};
  const SkyCallOptions options = {.compression = SKY_COMPRESSION_GZIP};
  SkyContext context = sky_context_background();
  context.call_options = &options;
  SkyClientStream *stream = NULL;
  const SkyRawMessage message = raw(large, LONG);
  ck_assert_ptr_null(sky_client_stream_open(
      client, &methods[1], &context, NULL,
      (SkyClientStreamHandler){.on_message = on_answer, .on_done = on_done, .user = &talk}, &stream));
  for (size_t i = 0; i < 4; i++) {
    sky_client_stream_compress_messages(stream, i < 2);
    ck_assert_ptr_null(sky_client_stream_write(stream, &message.base));
    SKY_CHECK_EVENTUALLY(count_of(&talk) == i + 1);
  }
  sky_client_stream_close_send(stream);
  SKY_CHECK_EVENTUALLY(is_done(&talk));
  sky_client_stream_unref(stream);
  ck_assert_int_eq(talk.code, SKY_CODE_OK);
  ck_assert(came_compressed(0) && came_compressed(1) && !came_compressed(2) && !came_compressed(3));
  ck_assert(talk.compressed[0] && !talk.compressed[1] && talk.compressed[2] && !talk.compressed[3]);
}
END_TEST

SKY_CHECK_MAIN_WITH("rpc/compression", setup, teardown, nothing_is_compressed_unasked, a_call_compresses_its_request,
                    a_handler_compresses_its_response, what_would_not_become_smaller_goes_as_it_is,
                    defaults_of_server_and_client, a_message_that_grows_past_the_limit_is_refused, metadata_of_one_call,
                    a_stream_decides_by_message)
