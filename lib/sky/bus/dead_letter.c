/*
 * Dead letters: our own move to the stream DEADLETTERS (JetStream has none). The message is acknowledged only when the
 * copy is stored; its message id makes a second copy of the same message a duplicate.
 */
#include "internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_HEADERS = 40, TEXT_SIZE = 512, NUMBER_SIZE = 24, STORE_TIMEOUT_MS = 5000, RETRY_MS = 5000 };

typedef struct Letter {
  char subject[SUBJECT_SIZE];
  char id[SUBJECT_SIZE];
  char message[TEXT_SIZE];
  char attempts[NUMBER_SIZE];
  char sequence[NUMBER_SIZE];
  SkyHeader headers[MAX_HEADERS];
  size_t header_count;
} Letter;

static void add_header(Letter *letter, const char *key, const char *value) {
  if (value != NULL && letter->header_count < MAX_HEADERS)
    letter->headers[letter->header_count++] = (SkyHeader){key, value};
}

/* Headers are lines. */
static void copy_line(const char *from, char to[TEXT_SIZE]) {
  snprintf(to, TEXT_SIZE, "%s", from);
  for (char *at = to; *at != '\0'; at++)
    if (*at == '\r' || *at == '\n')
      *at = ' ';
}

static void add_reason(Letter *letter, const SkyIncoming *incoming) {
  const SkyConsumer *consumer = incoming->consumer;
  copy_line(sky_status_message(incoming->failure), letter->message);
  snprintf(letter->attempts, sizeof(letter->attempts), "%u", incoming->attempt);
  snprintf(letter->sequence, sizeof(letter->sequence), "%" PRIu64, incoming->sequence);
  add_header(letter, "Dead-Code", sky_code_name(sky_status_code(incoming->failure)));
  add_header(letter, "Dead-Reason", sky_status_reason(incoming->failure));
  add_header(letter, "Dead-Message", letter->message);
  add_header(letter, "Dead-Attempts", letter->attempts);
  add_header(letter, "Dead-Stream", consumer->stream);
  add_header(letter, "Dead-Consumer", consumer->durable);
  add_header(letter, "Dead-Sequence", letter->sequence);
  add_header(letter, "Dead-Subject", sky_incoming_subject(incoming));
}

/* All but those that mean something to the broker ("Nats-…"). The values live as long as the message. */
static void add_original_headers(Letter *letter, const SkyIncoming *incoming, const char **keys, int count) {
  for (int i = 0; i < count; i++) {
    const char *value = NULL;
    if (strncmp(keys[i], "Nats-", 5) != 0 && natsMsgHeader_Get(incoming->message, keys[i], &value) == NATS_OK)
      add_header(letter, keys[i], value);
  }
}

static void on_stored(void *user, SkyStatus status, SkyStr data) {
  SkyIncoming *incoming = user;
  (void)data;
  if (status == SKY_OK) {
    atomic_fetch_add(&incoming->consumer->bus->dead_lettered, 1);
    incoming_acknowledge(incoming);
    return;
  }
  sky_status_free(status);
  incoming_retry(incoming, RETRY_MS);
}

/* The error of the broker, if it refused the letter, is in the reply. */
static void on_letter_reply(void *user, SkyStatus status, SkyStr data) {
  if (status == SKY_OK && memmem(data.data, data.size, "\"error\":", 8) != NULL)
    status = SKY_UNAVAILABLE("the broker refused a dead letter");
  on_stored(user, status, data);
}

void dead_letter_send(SkyIncoming *incoming) {
  const SkyConsumer *consumer = incoming->consumer;
  Letter letter = {.header_count = 0};
  snprintf(letter.subject, sizeof(letter.subject), "dead.%s.%s", consumer->stream, consumer->durable);
  snprintf(letter.id, sizeof(letter.id), "dead.%s.%s.%" PRIu64 ".%" PRId64, consumer->stream, consumer->durable,
           incoming->sequence, incoming->time_ms);
  add_reason(&letter, incoming);
  const char **keys = NULL;
  int count = 0;
  if (natsMsgHeader_Keys(incoming->message, &keys, &count) == NATS_OK)
    add_original_headers(&letter, incoming, keys, count);
  const SkyPublication publication = {
      .subject = letter.subject,
      .message_id = letter.id,
      .data = sky_incoming_data(incoming),
      .headers = letter.headers,
      .header_count = letter.header_count,
  };
  publish_request(consumer->bus, NULL, &publication, now_ns() + (int64_t)STORE_TIMEOUT_MS * SKY_NS_PER_MS,
                  on_letter_reply, incoming);
  free(keys);
}
