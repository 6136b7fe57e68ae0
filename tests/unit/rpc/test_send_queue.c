#include "sky/rpc/send_queue.h"

#include <grpc/grpc.h>
#include <grpc/slice.h>

#include "sky_check.h"

static SkySendQueue queue;

static void setup(void) {
  grpc_init();
  sky_send_queue_init(&queue, 1000);
}

static void teardown(void) {
  if (queue.in_flight != NULL)
    sky_send_queue_done(&queue);
  sky_send_queue_finish(&queue);
  grpc_shutdown_blocking();
}

static void push(size_t size) {
  grpc_slice slice = grpc_slice_malloc(size);
  grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(&slice, 1);
  grpc_slice_unref(slice);
  ck_assert(sky_send_queue_push(&queue, buffer, size, false));
}

START_TEST(one_message_is_in_flight_at_a_time_in_order) {
  push(10);
  push(20);
  const SkyQueuedMessage *first = sky_send_queue_start(&queue);
  ck_assert_uint_eq(grpc_byte_buffer_length(first->buffer), 10);
  ck_assert_ptr_null(sky_send_queue_start(&queue));
  sky_send_queue_done(&queue);
  ck_assert_uint_eq(grpc_byte_buffer_length(sky_send_queue_start(&queue)->buffer), 20);
  sky_send_queue_done(&queue);
  ck_assert_ptr_null(sky_send_queue_start(&queue));
  ck_assert_uint_eq(queue.bytes, 0);
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
  ck_assert_uint_lt(count, 100);
}
END_TEST

START_TEST(what_is_in_flight_counts_until_it_is_done) {
  push(600);
  ck_assert_ptr_nonnull(sky_send_queue_start(&queue));
  ck_assert(!sky_send_queue_is_half_empty(&queue));
  push(100);
  sky_send_queue_drop(&queue);
  ck_assert(!sky_send_queue_is_half_empty(&queue));
  sky_send_queue_done(&queue);
  ck_assert(sky_send_queue_is_half_empty(&queue));
  push(1); /* the end of the list is sound after a drop */
  ck_assert_ptr_nonnull(sky_send_queue_start(&queue));
}
END_TEST

SKY_CHECK_MAIN_WITH("rpc/send_queue", setup, teardown, one_message_is_in_flight_at_a_time_in_order,
                    bytes_bound_it_but_one_message_always_fits, empty_messages_are_bounded_too,
                    what_is_in_flight_counts_until_it_is_done)
