#include "sky/rpc/send_queue.h"

#include <stdint.h>
#include <string.h>

#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <grpc/slice.h>

#include <sky/rpc/raw.h>

#include "sky_check.h"

enum { MAX_BYTES = 1000, LARGE = 100000 };

static SkySendQueue queue;
static char bytes[LARGE + 256]; /* message n of a test begins at n % 256, so that each has other bytes */

static void setup(void) {
  grpc_init();
  sky_send_queue_init(&queue, MAX_BYTES);
  for (size_t i = 0; i < sizeof(bytes); i++)
    bytes[i] = (char)(i * 31 % 251);
}

static void teardown(void) {
  if (queue.in_flight > 0)
    sky_send_queue_done(&queue);
  sky_send_queue_finish(&queue);
  grpc_shutdown_blocking();
}

static SkyStr content(size_t number, size_t size) {
  return (SkyStr){bytes + number % 256, size};
}

static void push_numbered(size_t number, size_t size, bool uncompressed) {
  const SkyRawMessage message = SKY_RAW_MESSAGE_INIT(content(number, size));
  sky_send_queue_push(&queue, &message.base, size, sky_send_prepare(&message.base, size), uncompressed);
}

static void push(size_t size) {
  push_numbered(0, size, false);
}

static grpc_byte_buffer *start(void) {
  bool uncompressed;
  return sky_send_queue_start(&queue, &uncompressed);
}

/* The next message is this one; it is sent. */
static void assert_next(size_t number, size_t size, bool uncompressed) {
  bool ret_uncompressed = !uncompressed;
  grpc_byte_buffer *buffer = sky_send_queue_start(&queue, &ret_uncompressed);
  ck_assert_ptr_nonnull(buffer);
  ck_assert_int_eq(ret_uncompressed, uncompressed);
  grpc_byte_buffer_reader reader;
  ck_assert(grpc_byte_buffer_reader_init(&reader, buffer));
  const grpc_slice whole = grpc_byte_buffer_reader_readall(&reader);
  ck_assert_uint_eq(GRPC_SLICE_LENGTH(whole), size);
  ck_assert(memcmp(GRPC_SLICE_START_PTR(whole), content(number, size).data, size) == 0);
  grpc_slice_unref(whole);
  grpc_byte_buffer_reader_destroy(&reader);
  sky_send_queue_done(&queue);
}

START_TEST(one_message_is_in_flight_at_a_time_in_order) {
  push(10);
  push(20);
  ck_assert_uint_eq(grpc_byte_buffer_length(start()), 10);
  ck_assert_ptr_null(start());
  ck_assert(sky_send_queue_is_waiting(&queue));
  sky_send_queue_done(&queue);
  ck_assert_uint_eq(grpc_byte_buffer_length(start()), 20);
  ck_assert(!sky_send_queue_is_waiting(&queue));
  sky_send_queue_done(&queue);
  ck_assert_ptr_null(start());
  ck_assert_uint_eq(queue.bytes, 0);
}
END_TEST

/* Of every size around the borders of chunks, with the queue now short and now long: what goes in comes out. */
START_TEST(messages_keep_their_bytes_and_their_order) {
  static const size_t sizes[] = {0, 1, 22, 23, 24, 100, 500, 512, 4000, 4095, 4096, 4097, 8191, 8192, 8193, LARGE};
  enum { SIZES = sizeof(sizes) / sizeof(sizes[0]), COUNT = 2000 };
  size_t pushed = 0, sent = 0;
  for (; pushed < COUNT; pushed++) {
    push_numbered(pushed, sizes[pushed * 7 % SIZES], pushed % 3 == 0);
    for (const size_t behind = pushed % 200; pushed - sent > behind; sent++)
      assert_next(sent, sizes[sent * 7 % SIZES], sent % 3 == 0);
  }
  for (; sent < pushed; sent++)
    assert_next(sent, sizes[sent * 7 % SIZES], sent % 3 == 0);
  ck_assert_uint_eq(queue.bytes, 0);
}
END_TEST

/* The transport keeps slices longer than the operation that brought them. */
START_TEST(what_the_core_took_outlives_the_queue) {
  push_numbered(5, 300, false);
  push_numbered(6, 300, false);
  grpc_slice kept = grpc_slice_ref(start()->data.raw.slice_buffer.slices[0]);
  sky_send_queue_done(&queue);
  sky_send_queue_drop(&queue);
  ck_assert(memcmp(GRPC_SLICE_START_PTR(kept), content(5, 300).data, 300) == 0);
  grpc_slice_unref(kept);
}
END_TEST

START_TEST(bytes_bound_it_but_one_message_always_fits) {
  ck_assert(sky_send_queue_has_room(&queue, 5000));
  push(900);
  ck_assert(!sky_send_queue_has_room(&queue, 100));
  ck_assert(!sky_send_queue_has_room(&queue, SIZE_MAX));
}
END_TEST

START_TEST(empty_messages_are_bounded_too) {
  size_t count = 0;
  for (; sky_send_queue_has_room(&queue, 0); count++)
    push(0);
  ck_assert_uint_eq(count, MAX_BYTES / SKY_SEND_OVERHEAD);
}
END_TEST

START_TEST(what_is_in_flight_counts_until_it_is_done) {
  push(600);
  ck_assert_ptr_nonnull(start());
  ck_assert(!sky_send_queue_is_half_empty(&queue));
  push(100);
  sky_send_queue_drop(&queue);
  ck_assert(!sky_send_queue_is_half_empty(&queue));
  sky_send_queue_done(&queue);
  ck_assert(sky_send_queue_is_half_empty(&queue));
  push(1); /* the end of the list is sound after a drop */
  ck_assert_ptr_nonnull(start());
}
END_TEST

START_TEST(what_was_prepared_may_be_thrown_away) {
  const SkyRawMessage message = SKY_RAW_MESSAGE_INIT(content(0, LARGE));
  SkySendChunk *prepared = sky_send_prepare(&message.base, LARGE);
  ck_assert_ptr_nonnull(prepared);
  sky_send_chunk_destroy(prepared);
  sky_send_chunk_destroy(NULL);
  ck_assert_ptr_null(sky_send_prepare(&message.base, 10)); /* small: there is nothing to prepare */
}
END_TEST

SKY_CHECK_MAIN_WITH("rpc/send_queue", setup, teardown, one_message_is_in_flight_at_a_time_in_order,
                    messages_keep_their_bytes_and_their_order, what_the_core_took_outlives_the_queue,
                    bytes_bound_it_but_one_message_always_fits, empty_messages_are_bounded_too,
                    what_is_in_flight_counts_until_it_is_done, what_was_prepared_may_be_thrown_away)
