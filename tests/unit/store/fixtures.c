#include "fixtures.h"

#include <float.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const SkyIndex indexes[] = {
    {.name = "by_owner", .fields = {"owner_id", "create_time"}},
    {.name = "by_stage", .fields = {"stage", "number"}},
    {.name = "by_flags", .fields = {"expedited", "eta.name"}},
    {.name = "by_eta", .fields = {"eta.time"}},
    {.name = "by_reference", .fields = {"reference"}, .unique = true},
};

const SkyCollection documents = {
    .name = "documents",
    .type = &storetest__document__descriptor,
    .id_field = "id",
    .indexes = indexes,
    .index_count = 5,
};

const SkyCollection loose_documents = {
    .name = "loose_documents",
    .type = &storetest__document__descriptor,
    .id_field = "id",
    .indexes = indexes,
    .index_count = 4,
};

char *format(SkyArena *arena, const char *pattern, ...) {
  char text[4096];
  va_list values;
  va_start(values, pattern);
  const int length = vsnprintf(text, sizeof(text), pattern, values);
  va_end(values);
  return sky_arena_strndup(arena, text, (size_t)length);
}

SkyContext within_ms(int64_t ms) {
  const SkyContext background = sky_context_background();
  return sky_context_with_timeout_ms(&background, ms);
}

SkyContext soon(void) {
  return within_ms(20000); /* sanitizers on a busy machine */
}

Google__Protobuf__Timestamp *timestamp(SkyArena *arena, int64_t seconds, int32_t nanos) {
  Google__Protobuf__Timestamp *time = sky_arena_alloc(arena, sizeof(*time));
  google__protobuf__timestamp__init(time);
  time->seconds = seconds;
  time->nanos = nanos;
  return time;
}

static Storetest__Item *item(SkyArena *arena, const char *name, int64_t count) {
  Storetest__Item *made = sky_arena_alloc(arena, sizeof(*made));
  storetest__item__init(made);
  made->name = format(arena, "%s", name);
  made->count = count;
  return made;
}

Document *small_document(SkyArena *arena, const char *id) {
  Document *document = sky_arena_alloc(arena, sizeof(*document));
  storetest__document__init(document);
  document->id = format(arena, "%s", id);
  document->reference = format(arena, "reference-%s", id);
  return document;
}

#define LIST(arena, count, ...)                                                                                        \
  memcpy(sky_arena_alloc(arena, (count) * sizeof((__VA_ARGS__)[0])), (__VA_ARGS__), (count) * sizeof((__VA_ARGS__)[0]))

static void fill_lists(SkyArena *arena, Document *document) {
  document->n_tags = 3;
  document->tags = LIST(arena, 3, ((char *[]){"", "fragile", "größe"}));
  document->n_items = 2;
  document->items = LIST(arena, 2, ((Storetest__Item *[]){item(arena, "one", INT64_MAX), item(arena, "", 0)}));
  document->items[1]->inner = item(arena, "inner", -1);
  document->n_deltas = 3;
  document->deltas = LIST(arena, 3, ((int32_t[]){INT32_MIN, 0, INT32_MAX}));
  document->n_times = 3;
  document->times =
      LIST(arena, 3,
           ((Google__Protobuf__Timestamp *[]){timestamp(arena, 1700000000, 0), timestamp(arena, -1, 999999999),
                                              timestamp(arena, 1700000000, 123456789)}));
  document->n_stages = 3;
  document->stages = LIST(arena, 3, ((Storetest__Stage[]){STORETEST__STAGE__STAGE_DONE, 0, (Storetest__Stage)77}));
  document->n_blobs = 2;
  document->blobs = LIST(arena, 2, ((ProtobufCBinaryData[]){{3, (uint8_t *)"a\0b"}, {0, NULL}}));
  document->n_flags = 2;
  document->flags = LIST(arena, 2, ((protobuf_c_boolean[]){1, 0}));
  document->n_ratios = 3;
  document->ratios = LIST(arena, 3, ((double[]){0.1, 0.0, DBL_MAX}));
}

static Storetest__Document__CountsEntry *count_entry(SkyArena *arena, const char *key, int64_t value) {
  Storetest__Document__CountsEntry *entry = sky_arena_alloc(arena, sizeof(*entry));
  storetest__document__counts_entry__init(entry);
  entry->key = format(arena, "%s", key);
  entry->value = value;
  return entry;
}

static void fill_maps(SkyArena *arena, Document *document) {
  document->n_counts = 2;
  document->counts = LIST(arena, 2,
                          ((Storetest__Document__CountsEntry *[]){count_entry(arena, "plain", INT64_MIN),
                                                                  count_entry(arena, "second", 2)}));
  Storetest__Document__ByNumberEntry *numbered = sky_arena_alloc(arena, sizeof(*numbered));
  storetest__document__by_number_entry__init(numbered);
  numbered->key = -5;
  numbered->value = item(arena, "minus five", 5);
  document->n_by_number = 1;
  document->by_number = LIST(arena, 1, ((Storetest__Document__ByNumberEntry *[]){numbered}));
  Storetest__Document__SeenEntry *seen = sky_arena_alloc(arena, sizeof(*seen));
  storetest__document__seen_entry__init(seen);
  seen->key = format(arena, "with.dot and $dollar");
  seen->value = timestamp(arena, 1, 1);
  document->n_seen = 1;
  document->seen = LIST(arena, 1, ((Storetest__Document__SeenEntry *[]){seen}));
  Storetest__Document__AnswersEntry *answer = sky_arena_alloc(arena, sizeof(*answer));
  storetest__document__answers_entry__init(answer);
  answer->key = 1;
  answer->value = format(arena, "yes");
  document->n_answers = 1;
  document->answers = LIST(arena, 1, ((Storetest__Document__AnswersEntry *[]){answer}));
}

static void fill_scalars(SkyArena *arena, Document *document) {
  document->picture = (ProtobufCBinaryData){4, LIST(arena, 4, ((uint8_t[]){0, 255, 1, 0}))};
  document->a_int32 = INT32_MIN;
  document->a_sint32 = INT32_MIN;
  document->a_sfixed32 = INT32_MAX;
  document->a_uint32 = UINT32_MAX;
  document->a_fixed32 = UINT32_MAX;
  document->a_sint64 = INT64_MIN;
  document->a_sfixed64 = INT64_MAX;
  document->a_uint64 = UINT64_MAX;
  document->a_fixed64 = (uint64_t)INT64_MAX;
  document->a_float = 0.1F;
  document->a_double = -DBL_MIN;
}

Document *full_document(SkyArena *arena, const char *id) {
  Document *document = small_document(arena, id);
  document->owner_id = format(arena, "owner-1");
  document->stage = STORETEST__STAGE__STAGE_FLYING;
  document->create_time = timestamp(arena, 1795230858, 250000000);
  document->expedited = 1;
  document->number = -42;
  document->eta = item(arena, "eta", 3);
  document->eta->time = timestamp(arena, 1795230999, 123456789);
  document->_nickname_case = STORETEST__DOCUMENT___NICKNAME_NICKNAME;
  document->nickname = format(arena, "%s", ""); /* set, to the zero value: not the same as unset */
  document->_rank_case = STORETEST__DOCUMENT___RANK_RANK;
  document->rank = 0;
  document->contact_case = STORETEST__DOCUMENT__CONTACT_PERSON;
  document->person = item(arena, "Ada", 1);
  fill_lists(arena, document);
  fill_maps(arena, document);
  fill_scalars(arena, document);
  return document;
}

void assert_same_message(const ProtobufCMessage *a, const ProtobufCMessage *b) {
  static uint8_t bytes_a[1 << 21], bytes_b[1 << 21];
  const size_t size = protobuf_c_message_get_packed_size(a);
  ck_assert_uint_le(size, sizeof(bytes_a));
  ck_assert_uint_eq(size, protobuf_c_message_get_packed_size(b));
  protobuf_c_message_pack(a, bytes_a);
  protobuf_c_message_pack(b, bytes_b);
  ck_assert_mem_eq(bytes_a, bytes_b, size);
}
