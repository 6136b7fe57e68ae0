#include <sky/store/mongo.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* What the URI does not say. Server selection blocks a worker, so it is short; the socket time-out is for a network
 * that swallows packets. */
enum {
  SERVER_SELECTION_MS = 1500,
  CONNECT_MS = 1500,
  SOCKET_MS = 10000,
  WAIT_QUEUE_MS = 5000,
};

/* ---- connections ---- */

static SkyStatus check_presence(SkyMongo *mongo) {
  if (sky_clock_monotonic_ns(sky_clock_system_borrow()) >= mongo->away_until_ns)
    return SKY_OK;
  return sky_status_with_retry_after_ms(SKY_UNAVAILABLE("no MongoDB server answers"), 500);
}

/* With the lock held. */
static SkyStatus wait_for_place(SkyMongo *mongo, int64_t deadline_ns) {
  const struct timespec until = {.tv_sec = deadline_ns / SKY_NS_PER_S, .tv_nsec = deadline_ns % SKY_NS_PER_S};
  while (mongo->in_use == mongo->max) {
    if (pthread_cond_timedwait(&mongo->freed, &mongo->lock, &until) != 0 && mongo->in_use == mongo->max)
      return SKY_DEADLINE_EXCEEDED("all %zu connections of the store are in use", mongo->max);
  }
  mongo->in_use++;
  return SKY_OK;
}

static void leave_place(SkyMongo *mongo) {
  pthread_mutex_lock(&mongo->lock);
  mongo->in_use--;
  pthread_cond_signal(&mongo->freed);
  pthread_mutex_unlock(&mongo->lock);
}

SkyStatus sky_mongo_acquire(SkyMongo *mongo, const SkyContext *context, mongoc_client_t **ret) {
  SKY_TRY(check_presence(mongo));
  pthread_mutex_lock(&mongo->lock);
  SkyStatus status = wait_for_place(mongo, context->deadline_ns);
  pthread_mutex_unlock(&mongo->lock);
  SKY_TRY(status);
  mongoc_client_t *client = mongoc_client_pool_pop(mongo->pool);
  if (client == NULL) { /* after waitQueueTimeoutMS; there is a place, so it does not happen */
    leave_place(mongo);
    return SKY_UNAVAILABLE("the connection pool is exhausted");
  }
  *ret = client;
  return SKY_OK;
}

void sky_mongo_release(SkyMongo *mongo, mongoc_client_t *client) {
  mongoc_client_pool_push(mongo->pool, client);
  leave_place(mongo);
}

/* ---- commands ---- */

void sky_mongo_append_limits(bson_t *command, const SkyContext *context, bool is_write) {
  int64_t remaining_ms = sky_context_remaining_ms(context);
  if (remaining_ms < 1)
    remaining_ms = 1; /* 0 means no limit */
  if (remaining_ms > INT32_MAX)
    remaining_ms = INT32_MAX;
  bson_append_int64(command, "maxTimeMS", -1, remaining_ms);
  if (!is_write)
    return;
  bson_t concern;
  bson_append_document_begin(command, "writeConcern", -1, &concern);
  bson_append_utf8(&concern, "w", -1, "majority", -1);
  bson_append_int64(&concern, "wtimeout", -1, remaining_ms);
  bson_append_document_end(command, &concern);
}

SkyStatus sky_mongo_command(SkyMongo *mongo, const SkyContext *context, mongoc_client_t *client, const bson_t *command,
                            bson_t *ret_reply) {
  for (unsigned attempt = 0;; attempt++) {
    bson_error_t error = {0};
    int64_t wait_ms;
    if (mongoc_client_write_command_with_opts(client, mongo->database, command, NULL, ret_reply, &error))
      return SKY_OK;
    /* Errors of single documents are in the reply, and the caller's to read. */
    if (bson_has_field(ret_reply, "writeErrors"))
      return SKY_OK;
    if (!sky_mongo_is_throttled((int)error.code, error.message, &wait_ms) ||
        !sky_mongo_back_off(context, attempt, wait_ms))
      return sky_mongo_status(mongo, context, &error, "write");
    bson_destroy(ret_reply);
  }
}

static SkyStatus mongo_ping(void *self, const SkyContext *context) {
  SkyMongo *mongo = self;
  mongoc_client_t *client;
  SKY_TRY(sky_mongo_acquire(mongo, context, &client));
  bson_t command = BSON_INITIALIZER;
  bson_error_t error;
  bson_append_int32(&command, "ping", -1, 1);
  const bool done = mongoc_client_command_simple(client, mongo->database, &command, NULL, NULL, &error);
  bson_destroy(&command);
  sky_mongo_release(mongo, client);
  return done ? SKY_OK : sky_mongo_status(mongo, context, &error, "ping");
}

/* ---- settings ---- */

static void set_default(mongoc_uri_t *uri, const char *option, int32_t value) {
  if (!mongoc_uri_has_option(uri, option))
    mongoc_uri_set_option_as_int32(uri, option, value);
}

static bool is_cosmos(const mongoc_uri_t *uri) {
  for (const mongoc_host_list_t *host = mongoc_uri_get_hosts(uri); host != NULL; host = host->next) {
    if (sky_str_ends_with(sky_str(host->host), SKY_STR(".azure.com")))
      return true;
  }
  const char *service = mongoc_uri_get_srv_hostname(uri);
  return service != NULL && sky_str_ends_with(sky_str(service), SKY_STR(".azure.com"));
}

/* Retryable writes need a replica set; Cosmos DB refuses them even though it claims to be one. */
static void set_retries(mongoc_uri_t *uri) {
  const bool is_set = mongoc_uri_get_replica_set(uri) != NULL || mongoc_uri_get_srv_hostname(uri) != NULL;
  if (is_cosmos(uri) || (!is_set && !mongoc_uri_has_option(uri, MONGOC_URI_RETRYWRITES)))
    mongoc_uri_set_option_as_bool(uri, MONGOC_URI_RETRYWRITES, false);
}

static void set_options(mongoc_uri_t *uri, size_t connections) {
  set_default(uri, MONGOC_URI_SERVERSELECTIONTIMEOUTMS, SERVER_SELECTION_MS);
  set_default(uri, MONGOC_URI_CONNECTTIMEOUTMS, CONNECT_MS);
  set_default(uri, MONGOC_URI_SOCKETTIMEOUTMS, SOCKET_MS);
  set_default(uri, MONGOC_URI_WAITQUEUETIMEOUTMS, WAIT_QUEUE_MS);
  mongoc_uri_set_option_as_int32(uri, MONGOC_URI_MAXPOOLSIZE, (int32_t)connections + 1); /* and the indexer's */
  set_retries(uri);
}

/* ---- lifecycle ---- */

static void init_library(void) {
  mongoc_init();
  mongoc_log_set_handler(NULL, NULL); /* libraries do not log; what matters comes back as a status */
}

static SkyStatus open_pool(SkyMongo *mongo, const SkyStoreDriverOptions *options) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, init_library);
  bson_error_t error;
  mongoc_uri_t *uri = mongoc_uri_new_with_error(options->uri, &error);
  if (uri == NULL)
    return SKY_INVALID_ARGUMENT("store: %s", error.message);
  set_options(uri, options->connections);
  mongo->pool = mongoc_client_pool_new_with_error(uri, &error);
  mongoc_uri_destroy(uri);
  if (mongo->pool == NULL)
    return SKY_INVALID_ARGUMENT("store: %s", error.message);
  mongoc_client_pool_set_error_api(mongo->pool, MONGOC_ERROR_API_VERSION_2);
  mongoc_client_pool_set_appname(mongo->pool, options->database);
  return SKY_OK;
}

static void mongo_close(void *self) {
  SkyMongo *mongo = self;
  sky_mongo_indexer_destroy(mongo->indexer);
  if (mongo->pool != NULL)
    mongoc_client_pool_destroy(mongo->pool);
  pthread_cond_destroy(&mongo->freed);
  pthread_mutex_destroy(&mongo->lock);
  free(mongo->database);
  free(mongo);
}

static const SkyStoreDriver driver = {
    .name = "mongodb",
    .close = mongo_close,
    .ping = mongo_ping,
    .write = sky_mongo_write,
    .get = sky_mongo_get,
    .get_many = sky_mongo_get_many,
    .find = sky_mongo_find,
};

static SkyMongo *create(const SkyStoreDriverOptions *options) {
  SkyMongo *mongo = calloc(1, sizeof(*mongo));
  if (mongo == NULL)
    return NULL;
  mongo->schemas = options->schemas;
  mongo->schema_count = options->schema_count;
  mongo->max = options->connections;
  mongo->away_until_ns = INT64_MIN;
  mongo->database = strdup(options->database == NULL ? "" : options->database);
  pthread_mutex_init(&mongo->lock, NULL);
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(&mongo->freed, &attributes);
  pthread_condattr_destroy(&attributes);
  return mongo;
}

/* Names that every server takes for a database. */
static bool database_is_valid(const char *name) {
  return name != NULL && name[0] != '\0' && strlen(name) < 64 && strpbrk(name, "/\\. \"$*<>:|?") == NULL;
}

SkyStatus sky_mongo_open(const SkyStoreDriverOptions *options, const SkyStoreDriver **ret_driver, void **ret_self) {
  if (!database_is_valid(options->database))
    return SKY_INVALID_ARGUMENT("a store needs the name of its database");
  SkyMongo *mongo = create(options);
  if (mongo == NULL)
    return sky_status_no_memory();
  SkyStatus status = mongo->database == NULL ? sky_status_no_memory() : open_pool(mongo, options);
  if (status == SKY_OK)
    status = sky_mongo_indexer_create(mongo, &mongo->indexer);
  if (status != SKY_OK) {
    mongo_close(mongo);
    return status;
  }
  *ret_driver = &driver;
  *ret_self = mongo;
  return SKY_OK;
}
