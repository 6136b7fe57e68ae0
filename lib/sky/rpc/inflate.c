#include "inflate.h"

#include <zlib.h>

#include <grpc/byte_buffer_reader.h>
#include <grpc/slice.h>
#include <grpc/slice_buffer.h>

enum { PIECE_BYTES = 16 << 10, WINDOW_BITS = 15, GZIP_HEADER = 16 /* zlib: added to the window bits */ };

/*
 * What has been inflated so far. The piece being filled is kept from one slice of input to the next: how many pieces
 * there are must not be the sender's to say, who may cut his message into slices of a few bytes. zlib knows where in
 * the piece it is.
 */
typedef struct Output {
  grpc_slice_buffer pieces; /* the full ones */
  grpc_slice piece;
  size_t max_bytes;
} Output;

/* Puts what the piece holds to the others. */
static void end_piece(const z_stream *stream, Output *output) {
  const size_t filled = GRPC_SLICE_LENGTH(output->piece) - stream->avail_out;
  grpc_slice_buffer_add(&output->pieces, grpc_slice_sub_no_ref(output->piece, 0, filled));
}

/* Room for the next bytes; one more than the limit allows, so that going past it is seen. */
static void begin_piece(z_stream *stream, Output *output) {
  const size_t left = output->max_bytes - output->pieces.length + 1;
  output->piece = grpc_slice_malloc(left < PIECE_BYTES ? left : PIECE_BYTES);
  stream->next_out = GRPC_SLICE_START_PTR(output->piece);
  stream->avail_out = (uInt)GRPC_SLICE_LENGTH(output->piece);
}

/* One step of zlib. */
static int inflate_some(z_stream *stream, Output *output) {
  if (stream->avail_out == 0) {
    end_piece(stream, output);
    begin_piece(stream, output);
  }
  return inflate(stream, Z_NO_FLUSH);
}

static SkyStatus too_large(const Output *output) {
  return SKY_RESOURCE_EXHAUSTED("the message is larger than %zu bytes when it is decompressed", output->max_bytes);
}

/* All of one slice of input. */
static SkyStatus inflate_slice(z_stream *stream, grpc_slice input, Output *output, bool *at_end) {
  stream->next_in = GRPC_SLICE_START_PTR(input);
  stream->avail_in = (uInt)GRPC_SLICE_LENGTH(input);
  do {
    if (*at_end && stream->avail_in > 0)
      return SKY_INTERNAL("the compressed message has bytes behind its end");
    const int result = inflate_some(stream, output);
    if (stream->total_out > output->max_bytes)
      return too_large(output);
    if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)
      return SKY_INTERNAL("the message cannot be decompressed");
    *at_end = result == Z_STREAM_END;
  } while (stream->avail_in > 0 || (!*at_end && stream->avail_out == 0));
  return SKY_OK;
}

static SkyStatus inflate_all(z_stream *stream, const grpc_slice_buffer *input, Output *output) {
  bool at_end = false;
  for (size_t i = 0; i < input->count; i++)
    SKY_TRY(inflate_slice(stream, input->slices[i], output, &at_end));
  return at_end ? SKY_OK : SKY_INTERNAL("the compressed message ends too early");
}

SkyStatus sky_inflate(grpc_byte_buffer **buffer, size_t max_bytes) {
  const grpc_compression_algorithm algorithm = (*buffer)->data.raw.compression;
  z_stream stream = {0};
  Output output = {.max_bytes = max_bytes};
  if (inflateInit2(&stream, algorithm == GRPC_COMPRESS_GZIP ? WINDOW_BITS + GZIP_HEADER : WINDOW_BITS) != Z_OK)
    return sky_status_no_memory();
  grpc_slice_buffer_init(&output.pieces);
  begin_piece(&stream, &output);
  const SkyStatus status = inflate_all(&stream, &(*buffer)->data.raw.slice_buffer, &output);
  end_piece(&stream, &output);
  inflateEnd(&stream);
  if (status == SKY_OK) {
    grpc_byte_buffer_destroy(*buffer);
    *buffer = grpc_raw_byte_buffer_create(output.pieces.slices, output.pieces.count);
  }
  grpc_slice_buffer_destroy(&output.pieces);
  return status;
}
