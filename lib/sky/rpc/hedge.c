#include "hedge.h"

#include <assert.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

#include <sky/codec/message.h>
#include <sky/core/time.h>
#include <sky/rpc/metadata.h>
#include <sky/rpc/raw.h>

enum { MAX_REQUEST_MEMORY = 64 << 20, LOOK_MS = 50 };

typedef struct Hedge {
  SkyClient *client;
  const SkyMethodDescriptor *method;
  SkyArena arena; /* of what the attempts are made of: */
  ProtobufCMessage *request;
  SkyContext context; /* its cancellation is the attempts' own */
  SkyPrincipal principal;
  SkyCallOptions options;
  void (*on_end)(void *user, const SkyClientCall *call, const SkyError *status); /* the caller's */
  void *on_end_user;
  SkyCancel *parent; /* the caller's cancellation, or NULL */
  SkyCancelListener listener;
  SkyTag posted;
  SkyTimer timer;         /* for the next attempt */
  int64_t next_ns;        /* when it is due */
  unsigned started, open; /* attempts */
  bool paid;              /* the budget's token for the next attempt is ours */
  bool stopped;           /* no more attempts */
  bool is_answer;         /* the attempt that has just ended */
  bool end_told;          /* on_end has run */
  bool ended;             /* the caller has its answer */
  SkyStatus failure;      /* of the last attempt that was not the answer */
  SkyOnDoneInvoke invoke;
  SkyFunction done;
  void *user;
} Hedge;

bool sky_hedge_is_wanted(const SkyClient *client, const SkyMethodDescriptor *method) {
  return client->hedging.max_attempts > 1 && method->idempotency != SKY_IDEMPOTENCY_UNKNOWN;
}

/* ---- copies of what the caller lends ---- */

static SkyStatus copy_message(const ProtobufCMessage *message, SkyArena *arena, ProtobufCMessage **ret) {
  if (message->descriptor != &sky_raw_message_descriptor)
    return sky_message_copy(message, arena, ret);
  const SkyRawMessage *raw = (const void *)message;
  SkyRawMessage *copy = sky_arena_alloc(arena, sizeof(*copy));
  const char *bytes = sky_arena_strndup(arena, raw->bytes.data, raw->bytes.size);
  if (copy == NULL || bytes == NULL)
    return sky_status_no_memory();
  *copy = (SkyRawMessage)SKY_RAW_MESSAGE_INIT(((SkyStr){bytes, raw->bytes.size}));
  *ret = &copy->base;
  return SKY_OK;
}

static const char *copy_text(Hedge *hedge, const char *text) {
  const char *copy = sky_arena_strndup(&hedge->arena, text, strlen(text));
  return copy != NULL ? copy : "";
}

static void copy_principal(Hedge *hedge, const SkyPrincipal *principal) {
  if (principal == NULL)
    return;
  hedge->principal = (SkyPrincipal){.subject = copy_text(hedge, principal->subject),
                                    .owner_id = copy_text(hedge, principal->owner_id),
                                    .scopes = copy_text(hedge, principal->scopes)};
  hedge->context.principal = &hedge->principal;
}

static SkyStatus copy_metadata(Hedge *hedge, const SkyCallOptions *options) {
  if (options->metadata_count == 0)
    return SKY_OK;
  SkyMetadataEntry *entries = sky_arena_alloc(&hedge->arena, options->metadata_count * sizeof(*entries));
  if (entries == NULL)
    return sky_status_no_memory();
  for (size_t i = 0; i < options->metadata_count; i++) {
    const SkyStr value = options->metadata[i].value;
    const char *bytes = sky_arena_strndup(&hedge->arena, value.data, value.size);
    if (bytes == NULL)
      return sky_status_no_memory();
    entries[i] = (SkyMetadataEntry){copy_text(hedge, options->metadata[i].key), {bytes, value.size}};
  }
  hedge->options.metadata = entries;
  return SKY_OK;
}

static void attempt_ended(void *user, const SkyClientCall *call, const SkyError *status);

static SkyStatus copy_options(Hedge *hedge, const SkyCallOptions *options) {
  if (options != NULL) {
    hedge->options = *options;
    hedge->on_end = options->on_end;
    hedge->on_end_user = options->user;
    SKY_TRY(copy_metadata(hedge, options));
  }
  hedge->options.on_end = attempt_ended;
  hedge->options.user = hedge;
  hedge->context.call_options = &hedge->options;
  return SKY_OK;
}

/* ---- life ---- */

static void hedge_destroy(Hedge *hedge) {
  if (hedge->context.cancel != NULL)
    sky_cancel_unref(hedge->context.cancel);
  if (hedge->parent != NULL)
    sky_cancel_unref(hedge->parent);
  sky_status_free(hedge->failure);
  sky_arena_finish(&hedge->arena);
  free(hedge);
}

/*
 * The client's destruction waits for hedged calls too, between their attempts. They are counted by themselves: each of
 * their attempts is an open call already, and must find room among those.
 */
static SkyStatus hold_client(SkyClient *client) {
  SkyStatus status = SKY_OK;
  pthread_mutex_lock(&client->lock);
  if (client->closing)
    status = SKY_CANCELLED("the client is being closed");
  else if (client->hedged_count >= client->max_concurrent_calls)
    status = SKY_RESOURCE_EXHAUSTED("the client has %zu hedged calls", client->hedged_count);
  else
    client->hedged_count++;
  pthread_mutex_unlock(&client->lock);
  return status;
}

static void release_client(SkyClient *client) {
  pthread_mutex_lock(&client->lock);
  if (--client->hedged_count == 0 && client->closing)
    pthread_cond_broadcast(&client->changed);
  pthread_mutex_unlock(&client->lock);
}

static void free_when_done(Hedge *hedge) {
  SkyClient *client = hedge->client;
  if (!hedge->ended || hedge->open > 0)
    return;
  hedge_destroy(hedge);
  release_client(client);
}

/* Of all attempts the caller sees the end of the one that counts. */
static void tell_end(Hedge *hedge, const SkyClientCall *call, const SkyError *status) {
  hedge->end_told = true;
  if (hedge->on_end != NULL)
    hedge->on_end(hedge->on_end_user, call, status);
}

/* The call's end is none of an attempt's, for there was a pause between two. */
static void tell_end_between(Hedge *hedge, const SkyError *status) {
  const SkyClientCall none = {
      .client = hedge->client, .method = hedge->method, .context = hedge->context, .made = true};
  tell_end(hedge, &none, status);
}

/* The caller gets its answer; attempts that are still open are cancelled. */
static void end(Hedge *hedge, SkyStatus status, const ProtobufCMessage *response) {
  hedge->ended = true;
  (void)sky_timer_heap_remove(&hedge->client->rpc->timers, &hedge->timer);
  sky_cancel_remove(hedge->parent, &hedge->listener);
  if (status == SKY_OK)
    sky_retry_budget_success(&hedge->client->hedging_budget);
  if (!hedge->end_told && hedge->started > 0)
    tell_end_between(hedge, status);
  hedge->invoke(hedge->done, hedge->user, status, response);
  sky_cancel_trigger(hedge->context.cancel);
}

/* ---- when attempts are made ---- */

static int64_t now_ns(void) {
  return sky_clock_monotonic_ns(sky_clock_system_borrow());
}

static int64_t earlier(int64_t a, int64_t b) {
  return a < b ? a : b;
}

/* An open attempt ends when the call is cancelled; without one we look now and then. False without memory. */
static bool set_timer(Hedge *hedge) {
  const int64_t at_ns = hedge->open > 0 ? hedge->next_ns : earlier(hedge->next_ns, now_ns() + LOOK_MS * SKY_NS_PER_MS);
  SkyStatus status = sky_timer_heap_add(&hedge->client->rpc->timers, &hedge->timer, at_ns);
  const bool set = status == SKY_OK;
  sky_status_free(status);
  return set;
}

/* False when there is no next attempt: there were enough, or the deadline comes first. */
static bool schedule_attempt(Hedge *hedge, int64_t delay_ms) {
  if (hedge->stopped || hedge->started >= hedge->client->hedging.max_attempts ||
      delay_ms >= sky_context_remaining_ms(&hedge->context))
    return false;
  hedge->next_ns = now_ns() + delay_ms * SKY_NS_PER_MS;
  return set_timer(hedge);
}

static bool pay(Hedge *hedge) {
  hedge->paid = hedge->paid || sky_retry_budget_take(&hedge->client->hedging_budget);
  return hedge->paid;
}

/* ---- how attempts end ---- */

static bool may_be_tried_again(const Hedge *hedge, const SkyError *status) {
  const SkyHedgingPolicy *policy = &hedge->client->hedging;
  for (size_t i = 0; i < policy->code_count; i++) {
    if (sky_status_code(status) == policy->codes[i])
      return true;
  }
  return false;
}

/* When the server wants to see the next attempt: 0 at once, negative never. */
static int64_t pushback_ms(const SkyClientCall *call, const SkyError *status) {
  SkyStr text;
  int64_t ms = -1;
  if (sky_client_call_metadata(call, SKY_METADATA_RETRY_PUSHBACK, &text))
    return sky_str_to_int64(text, &ms) ? ms : -1;
  ms = sky_status_retry_after_ms(status);
  return ms > 0 ? ms : 0;
}

/*
 * True when the call goes on after this failure: with other attempts that are open, or with one that is to come. That
 * is settled here, while the attempt's end can still be shown to the caller, its token of the budget included.
 */
static bool goes_on(Hedge *hedge, int64_t delay_ms) {
  hedge->stopped |= delay_ms < 0;
  const bool comes = schedule_attempt(hedge, delay_ms);
  return hedge->open > 0 || (comes && pay(hedge));
}

static void attempt_ended(void *user, const SkyClientCall *call, const SkyError *status) {
  Hedge *hedge = user;
  hedge->open--;
  if (hedge->ended)
    return;
  hedge->is_answer = !may_be_tried_again(hedge, status) || !goes_on(hedge, pushback_ms(call, status));
  if (hedge->is_answer)
    tell_end(hedge, call, status);
}

static void keep_failure(Hedge *hedge, SkyStatus status) {
  sky_status_free(hedge->failure);
  hedge->failure = status;
}

static void attempt_done(void *user, SkyStatus status, const ProtobufCMessage *response) {
  Hedge *hedge = user;
  if (!hedge->ended && hedge->is_answer)
    end(hedge, status, response);
  else
    keep_failure(hedge, status);
  free_when_done(hedge);
}

/* ---- attempts ---- */

/* There are no more attempts: the end, when none is open. Takes the status; the hedge may be gone when this returns. */
static void stop(Hedge *hedge, SkyStatus status) {
  hedge->stopped = true;
  if (hedge->open == 0)
    end(hedge, status, NULL);
  else
    sky_status_free(status);
  free_when_done(hedge);
}

/* We could not begin an attempt, for want of room perhaps: that is no answer when a server has given another. */
static void attempt_refused(Hedge *hedge, SkyStatus refusal) {
  if (hedge->failure != SKY_OK) {
    sky_status_free(refusal);
    refusal = hedge->failure;
    hedge->failure = SKY_OK;
  }
  stop(hedge, refusal);
}

/* The hedge may be gone when this returns. */
static void start_attempt(Hedge *hedge) {
  const SkyStatus status =
      sky_client_call_once_async(hedge->client, hedge->method, &hedge->context, hedge->request, attempt_done, hedge);
  if (status != SKY_OK) {
    attempt_refused(hedge, status);
    return;
  }
  hedge->started++;
  hedge->open++;
  hedge->paid = false;
  (void)schedule_attempt(hedge, hedge->client->hedging.delay_ms);
}

/* Why the call is to be ended, if it is. */
static SkyStatus check(const Hedge *hedge) {
  pthread_mutex_lock(&hedge->client->lock);
  const bool closing = hedge->client->closing;
  pthread_mutex_unlock(&hedge->client->lock);
  return closing ? SKY_CANCELLED("the client is being closed") : sky_context_check(&hedge->context);
}

static void time_for_attempt(void *user) {
  Hedge *hedge = user;
  if (hedge->stopped)
    return;
  const SkyStatus over = check(hedge);
  if (over != SKY_OK)
    stop(hedge, over);
  else if ((now_ns() >= hedge->next_ns || !set_timer(hedge)) && pay(hedge))
    start_attempt(hedge);
}

static void start(SkyTag *tag, bool ok) {
  start_attempt(SKY_CONTAINER(tag, Hedge, posted));
}

/* ---- calls ---- */

static void cancel_attempts(void *user) {
  const Hedge *hedge = user;
  sky_cancel_trigger(hedge->context.cancel);
}

static SkyStatus fill(Hedge *hedge, const SkyContext *context, const ProtobufCMessage *request) {
  const SkyContext caller = context != NULL ? *context : sky_context_background();
  const int64_t timeout_ms = hedge->method->deadline_ms > 0 ? hedge->method->deadline_ms : SKY_CLIENT_DEADLINE_MS;
  hedge->context = caller.deadline_ns != SKY_NO_DEADLINE ? caller : sky_context_with_timeout_ms(&caller, timeout_ms);
  hedge->context.principal = NULL;
  hedge->context.cancel = sky_cancel_create();
  if (hedge->context.cancel == NULL)
    return sky_status_no_memory();
  SKY_TRY(copy_message(request, &hedge->arena, &hedge->request));
  SKY_TRY(copy_options(hedge, caller.call_options));
  copy_principal(hedge, caller.principal);
  SKY_TRY(hold_client(hedge->client));
  hedge->parent = caller.cancel != NULL ? sky_cancel_ref(caller.cancel) : NULL;
  hedge->listener = (SkyCancelListener){.cancelled = cancel_attempts, .user = hedge};
  sky_cancel_add(hedge->parent, &hedge->listener);
  return SKY_OK;
}

static SkyStatus create(Hedge hedge, const SkyContext *context, const ProtobufCMessage *request, Hedge **ret) {
  Hedge *created = malloc(sizeof(*created));
  if (created == NULL)
    return sky_status_no_memory();
  *created = hedge;
  created->posted.complete = start;
  created->timer = (SkyTimer){.fire = time_for_attempt, .user = created};
  sky_arena_init(&created->arena, MAX_REQUEST_MEMORY);
  const SkyStatus status = fill(created, context, request);
  if (status != SKY_OK)
    hedge_destroy(created);
  else
    *ret = created;
  return status;
}

void sky_hedge_call_async(SkyClient *client, const SkyMethodDescriptor *method, const SkyContext *context,
                          const ProtobufCMessage *request, SkyOnDoneInvoke invoke, SkyFunction done, void *user) {
  const Hedge hedge = {.client = client, .method = method, .invoke = invoke, .done = done, .user = user};
  Hedge *created = NULL;
  const SkyStatus status = create(hedge, context, request, &created);
  if (status == SKY_OK)
    sky_rpc_post(client->rpc, &created->posted);
  else
    invoke(done, user, status, NULL);
}

typedef struct Waiter {
  sem_t done;
  SkyArena *arena;
  SkyStatus status;
  ProtobufCMessage *response;
} Waiter;

/* The caller sleeps, so its arena is ours for the moment. */
static void wake(SkyFunction done, void *user, SkyStatus status, const ProtobufCMessage *response) {
  Waiter *waiter = user;
  waiter->status = status == SKY_OK ? copy_message(response, waiter->arena, &waiter->response) : status;
  sem_post(&waiter->done);
}

SkyStatus sky_hedge_call(SkyClient *client, const SkyMethodDescriptor *method, const SkyContext *context,
                         const ProtobufCMessage *request, SkyArena *arena, ProtobufCMessage **ret_response) {
  assert(!sky_rpc_is_io_thread(client->rpc));
  Waiter waiter = {.arena = arena};
  sem_init(&waiter.done, 0, 0);
  sky_hedge_call_async(client, method, context, request, wake, NULL, &waiter);
  while (sem_wait(&waiter.done) != 0) { /* interrupted by a signal; the deadline ends the call */
  }
  sem_destroy(&waiter.done);
  if (waiter.status == SKY_OK)
    *ret_response = waiter.response;
  return waiter.status;
}
