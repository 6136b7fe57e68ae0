#include "skyctl/http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>
#include <sky/core/time.h>

#include "skyctl/problem.h"

enum {
  MAX_BODY_BYTES = 64 << 20,
  MAX_EVENT_BYTES = 1 << 20,
  SILENCE_S = 60, /* the gateway says something every 15 s */
  URL_SIZE = 2048,
  FIRST_RETRY_MS = 100,
  MOST_RETRY_MS = 3000
};

struct Http {
  char gateway[512];
  int64_t timeout_ms;
  CURL *easy;
};

SkyStatus http_create(const char *gateway, int64_t timeout_ms, Http **ret) {
  Http *http = calloc(1, sizeof(*http));
  if (http == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK || (http->easy = curl_easy_init()) == NULL) {
    free(http);
    return sky_status_no_memory();
  }
  snprintf(http->gateway, sizeof(http->gateway), "%s", gateway);
  const size_t size = strlen(http->gateway);
  if (size > 0 && http->gateway[size - 1] == '/')
    http->gateway[size - 1] = '\0';
  http->timeout_ms = timeout_ms;
  *ret = http;
  return SKY_OK;
}

void http_destroy(Http *http) {
  if (http == NULL)
    return;
  curl_easy_cleanup(http->easy);
  curl_global_cleanup();
  free(http);
}

void http_answer_finish(HttpAnswer *answer) {
  sky_buf_finish(&answer->body);
}

const char *http_escaped(const char *text) {
  static char escaped[512];
  char *made = curl_easy_escape(NULL, text, 0);
  snprintf(escaped, sizeof(escaped), "%s", made == NULL ? "" : made);
  curl_free(made);
  return escaped;
}

static size_t take_body(char *data, size_t one, size_t size, void *user) {
  SkyBuf *body = user;
  sky_buf_append(body, data, size);
  return body->failed ? 0 : size;
}

static SkyStatus unreachable(const Http *http, CURLcode code) {
  if (code == CURLE_OPERATION_TIMEDOUT)
    return SKY_DEADLINE_EXCEEDED("%s did not answer within %lld ms", http->gateway, (long long)http->timeout_ms);
  if (code == CURLE_WRITE_ERROR)
    return SKY_RESOURCE_EXHAUSTED("the answer of %s is too large", http->gateway);
  return SKY_UNAVAILABLE("cannot reach %s: %s", http->gateway, curl_easy_strerror(code));
}

static void set_url(CURL *easy, const Http *http, const char *path) {
  char url[URL_SIZE];
  snprintf(url, sizeof(url), "%s%s", http->gateway, path);
  curl_easy_setopt(easy, CURLOPT_URL, url); /* curl keeps a copy */
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_USERAGENT, "skyctl");
}

/* ---- one request ---- */

SkyStatus http_request(Http *http, const char *method, const char *path, const char *body, HttpAnswer *ret) {
  struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
  headers = curl_slist_append(headers, "Accept: application/json");
  sky_buf_init(&ret->body, MAX_BODY_BYTES);
  curl_easy_reset(http->easy);
  set_url(http->easy, http, path);
  curl_easy_setopt(http->easy, CURLOPT_CUSTOMREQUEST, method);
  curl_easy_setopt(http->easy, CURLOPT_TIMEOUT_MS, (long)http->timeout_ms);
  if (body != NULL)
    curl_easy_setopt(http->easy, CURLOPT_POSTFIELDS, body);
  curl_easy_setopt(http->easy, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(http->easy, CURLOPT_WRITEFUNCTION, take_body);
  curl_easy_setopt(http->easy, CURLOPT_WRITEDATA, &ret->body);
  const CURLcode code = curl_easy_perform(http->easy);
  curl_slist_free_all(headers);
  SkyStatus status = SKY_OK;
  curl_easy_getinfo(http->easy, CURLINFO_RESPONSE_CODE, &ret->status);
  if (code != CURLE_OK)
    status = unreachable(http, code);
  else if (ret->status >= 400)
    status = problem_status(ret->status, sky_buf_str(&ret->body));
  if (status != SKY_OK)
    http_answer_finish(ret);
  return status;
}

/* ---- events ---- */

typedef struct Events {
  SkyBuf line;
  char name[32];
  bool (*on_event)(void *user, const char *event, SkyStr data);
  void *user;
  bool ended;     /* by on_event */
  SkyBuf refused; /* body of an answer that is no stream */
  CURL *easy;
} Events;

static void take_line(Events *events, SkyStr line) {
  if (line.size == 0) {
    events->name[0] = '\0';
  } else if (sky_str_starts_with(line, SKY_STR("event: "))) {
    snprintf(events->name, sizeof(events->name), "%.*s", (int)(line.size - 7), line.data + 7);
  } else if (sky_str_starts_with(line, SKY_STR("data: "))) {
    const SkyStr data = {line.data + 6, line.size - 6};
    events->ended = !events->on_event(events->user, events->name, data);
  }
}

static size_t take_events(char *data, size_t one, size_t size, void *user) {
  Events *events = user;
  long status = 0;
  curl_easy_getinfo(events->easy, CURLINFO_RESPONSE_CODE, &status);
  if (status >= 400) {
    sky_buf_append(&events->refused, data, size);
    return size;
  }
  sky_buf_append(&events->line, data, size);
  if (events->line.failed)
    return 0;
  SkyStr rest = sky_buf_str(&events->line), line;
  while (!events->ended && sky_str_cut(&rest, '\n', &line))
    take_line(events, line);
  memmove(events->line.data, rest.data, rest.size);
  events->line.size = rest.size;
  return events->ended ? 0 : size;
}

SkyStatus http_events(Http *http, const char *path, bool (*on_event)(void *user, const char *event, SkyStr data),
                      void *user) {
  Events events = {.on_event = on_event, .user = user, .easy = http->easy};
  struct curl_slist *headers = curl_slist_append(NULL, "Accept: text/event-stream");
  sky_buf_init(&events.line, MAX_EVENT_BYTES);
  sky_buf_init(&events.refused, MAX_EVENT_BYTES);
  curl_easy_reset(http->easy);
  set_url(http->easy, http, path);
  curl_easy_setopt(http->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)http->timeout_ms);
  curl_easy_setopt(http->easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(http->easy, CURLOPT_LOW_SPEED_TIME, (long)SILENCE_S);
  curl_easy_setopt(http->easy, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(http->easy, CURLOPT_WRITEFUNCTION, take_events);
  curl_easy_setopt(http->easy, CURLOPT_WRITEDATA, &events);
  const CURLcode code = curl_easy_perform(http->easy);
  long http_status = 0;
  curl_easy_getinfo(http->easy, CURLINFO_RESPONSE_CODE, &http_status);
  curl_slist_free_all(headers);
  SkyStatus status = SKY_OK;
  if (http_status >= 400)
    status = problem_status(http_status, sky_buf_str(&events.refused));
  else if (code == CURLE_OPERATION_TIMEDOUT && http_status != 0)
    status = SKY_UNAVAILABLE("%s said nothing for %d s", http->gateway, SILENCE_S);
  else if (code != CURLE_OK && !events.ended)
    status = unreachable(http, code);
  sky_buf_finish(&events.line);
  sky_buf_finish(&events.refused);
  return status;
}

/* ---- many ---- */

typedef struct Slot {
  CURL *easy;
  struct curl_slist *headers;
  HttpPost post;
  SkyBuf body;
  bool busy;
  unsigned attempts;
  int64_t begin_ns, retry_ns; /* retry_ns 0: under way */
} Slot;

static int64_t now_ns(void) {
  return sky_clock_monotonic_ns(sky_clock_system_borrow());
}

static void send_slot(Http *http, CURLM *multi, Slot *slot, const char *path) {
  char key[128];
  snprintf(key, sizeof(key), "Idempotency-Key: %s", slot->post.idempotency_key);
  curl_slist_free_all(slot->headers);
  slot->headers = curl_slist_append(NULL, "Content-Type: application/json");
  slot->headers = curl_slist_append(slot->headers, key);
  sky_buf_clear(&slot->body);
  curl_easy_reset(slot->easy);
  set_url(slot->easy, http, path);
  curl_easy_setopt(slot->easy, CURLOPT_POSTFIELDS, slot->post.body);
  curl_easy_setopt(slot->easy, CURLOPT_TIMEOUT_MS, (long)http->timeout_ms);
  curl_easy_setopt(slot->easy, CURLOPT_HTTPHEADER, slot->headers);
  curl_easy_setopt(slot->easy, CURLOPT_WRITEFUNCTION, take_body);
  curl_easy_setopt(slot->easy, CURLOPT_WRITEDATA, &slot->body);
  curl_easy_setopt(slot->easy, CURLOPT_PRIVATE, slot);
  slot->retry_ns = 0;
  slot->attempts++;
  curl_multi_add_handle(multi, slot->easy);
}

static SkyStatus outcome(const Http *http, Slot *slot, CURLcode code) {
  long status = 0;
  curl_easy_getinfo(slot->easy, CURLINFO_RESPONSE_CODE, &status);
  if (code != CURLE_OK)
    return unreachable(http, code);
  return status >= 400 ? problem_status(status, sky_buf_str(&slot->body)) : SKY_OK;
}

static bool is_retried(const Http *http, Slot *slot, const SkyError *status) {
  if (!sky_status_is_retryable(status) || now_ns() - slot->begin_ns > http->timeout_ms * SKY_NS_PER_MS)
    return false;
  int64_t wait_ms = sky_status_retry_after_ms(status);
  if (wait_ms < 0)
    wait_ms = FIRST_RETRY_MS << (slot->attempts < 6 ? slot->attempts : 5);
  slot->retry_ns = now_ns() + (wait_ms > MOST_RETRY_MS ? MOST_RETRY_MS : wait_ms) * SKY_NS_PER_MS;
  return true;
}

typedef struct PostAll {
  Http *http;
  CURLM *multi;
  const char *path;
  Slot *slots;
  unsigned count;
  bool (*next)(void *user, HttpPost *ret);
  void (*done)(void *user, const HttpPost *post, SkyStatus status, SkyStr body);
  void *user;
  bool exhausted;
} PostAll;

/* Starts what can be started. False when nothing is left to do. */
static bool start_some(PostAll *all) {
  bool any = false;
  for (unsigned i = 0; i < all->count; i++) {
    Slot *slot = &all->slots[i];
    if (!slot->busy && !all->exhausted) {
      all->exhausted = !all->next(all->user, &slot->post);
      slot->busy = !all->exhausted;
      if (slot->busy) {
        slot->attempts = 0;
        slot->begin_ns = now_ns();
        send_slot(all->http, all->multi, slot, all->path);
      }
    } else if (slot->busy && slot->retry_ns != 0 && slot->retry_ns <= now_ns()) {
      send_slot(all->http, all->multi, slot, all->path);
    }
    any = any || slot->busy;
  }
  return any;
}

static void collect(PostAll *all) {
  int left;
  for (CURLMsg *message; (message = curl_multi_info_read(all->multi, &left)) != NULL;) {
    if (message->msg != CURLMSG_DONE)
      continue;
    const CURLcode code = message->data.result;
    Slot *slot;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&slot);
    curl_multi_remove_handle(all->multi, slot->easy);
    SkyStatus status = outcome(all->http, slot, code);
    if (is_retried(all->http, slot, status)) {
      sky_status_free(status);
      continue;
    }
    slot->busy = false;
    all->done(all->user, &slot->post, status, sky_buf_str(&slot->body));
  }
}

static void run_all(PostAll *all) {
  while (start_some(all)) {
    int running;
    curl_multi_perform(all->multi, &running);
    curl_multi_poll(all->multi, NULL, 0, 50, NULL);
    collect(all);
  }
}

SkyStatus http_post_all(Http *http, const char *path, unsigned at_once, bool (*next)(void *user, HttpPost *ret),
                        void (*done)(void *user, const HttpPost *post, SkyStatus status, SkyStr body), void *user) {
  PostAll all = {.http = http, .path = path, .count = at_once, .next = next, .done = done, .user = user};
  all.slots = calloc(at_once, sizeof(*all.slots));
  all.multi = curl_multi_init();
  bool ready = all.slots != NULL && all.multi != NULL;
  for (unsigned i = 0; ready && i < at_once; i++) {
    sky_buf_init(&all.slots[i].body, MAX_EVENT_BYTES);
    all.slots[i].easy = curl_easy_init();
    ready = all.slots[i].easy != NULL;
  }
  if (ready)
    run_all(&all);
  for (unsigned i = 0; all.slots != NULL && i < at_once; i++) {
    curl_slist_free_all(all.slots[i].headers);
    curl_easy_cleanup(all.slots[i].easy);
    sky_buf_finish(&all.slots[i].body);
  }
  curl_multi_cleanup(all.multi);
  free(all.slots);
  return ready ? SKY_OK : sky_status_no_memory();
}
