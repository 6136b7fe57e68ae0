/* <stem>.event.h and .event.c: publishing and routes of messages marked as events. */
#include "emit.h"

#include <string.h>

#include "names.h"
#include "options.h"

/* sky.options.v1.EventOptions */
enum { OPTION_SUBJECT = 1, OPTION_AGGREGATE_ID_FIELD = 2, OPTION_EVENT_ID_FIELD = 3, OPTION_STREAM = 4 };

static bool is_event(const Message *message) {
  return sky_options_has((const ProtobufCMessage *)message->proto->options, EXTENSION_SKY);
}

static bool has_events(const File *file) {
  for (size_t i = 0; i < file->message_count; i++) {
    if (is_event(file->messages[i]))
      return true;
  }
  return false;
}

static void check_id_field(Model *model, const Message *message, const char *option, const char *name) {
  const MessageProto *proto = message->proto;
  if (*name == '\0') {
    sky_model_error(model, message->file, message->full_name, "its event option has no %s", option);
    return;
  }
  for (size_t i = 0; i < proto->n_field; i++) {
    const FieldProto *field = proto->field[i];
    if (strcmp(field->name, name) == 0 && field->type == TYPE(STRING) && !sky_field_is_repeated(field))
      return;
  }
  sky_model_error(model, message->file, message->full_name, "%s \"%s\" is not a string field of the event", option,
                  name);
}

/* Tokens of a NATS subject: no wildcard, no blank, no empty one. */
static bool is_subject(const char *subject) {
  const size_t size = strlen(subject);
  if (size == 0 || subject[0] == '.' || subject[size - 1] == '.' || strstr(subject, "..") != NULL)
    return false;
  return strpbrk(subject, " \t\r\n*>") == NULL;
}

static void check_event(Model *model, const Message *message, SkyStr options) {
  const char *subject = sky_options_text(model->arena, options, OPTION_SUBJECT);
  if (!is_subject(subject))
    sky_model_error(model, message->file, message->full_name, "\"%s\" is not a subject to publish on", subject);
  check_id_field(model, message, "aggregate_id_field",
                 sky_options_text(model->arena, options, OPTION_AGGREGATE_ID_FIELD));
  check_id_field(model, message, "event_id_field", sky_options_text(model->arena, options, OPTION_EVENT_ID_FIELD));
}

static void emit_header(Model *model, const Message *message, SkyBuf *out) {
  static const char *const suffixes[] = {"_event", "_publish", "_publish_async", "_handler", "_route"};
  const char *m = message->short_name;
  for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++)
    sky_model_take_symbol(model, message->file, sky_gen_printf(model->arena, "%s%s", m, suffixes[i]),
                          message->full_name);
  sky_buf_printf(out, "extern const SkyEventType %s_event;\n", m);
  sky_buf_printf(
      out,
      "SKY_MUST_USE static inline SkyStatus %s_publish(SkyBus *bus, const SkyContext *context, const %s *event) {\n"
      "  return sky_event_publish(bus, context, &%s_event, (const ProtobufCMessage *)event);\n"
      "}\n",
      m, m, m);
  sky_buf_printf(out,
                 "static inline void %s_publish_async(SkyBus *bus, const SkyContext *context, const %s *event, "
                 "SkyOnPublished done,\n"
                 "    void *user) {\n"
                 "  sky_event_publish_async(bus, context, &%s_event, (const ProtobufCMessage *)event, done, user);\n"
                 "}\n",
                 m, m, m);
  sky_buf_printf(out,
                 "typedef SkyStatus (*%s_handler)(void *self, SkyIncoming *incoming, const %s *event);\n"
                 "SkyEventRoute %s_route(%s_handler handler, void *self);\n\n",
                 m, m, m, m);
}

static void emit_text_member(const Model *model, const char *member, SkyStr options, uint32_t number, SkyBuf *out) {
  sky_buf_printf(out, "    .%s = ", member);
  sky_emit_string(sky_str(sky_options_text(model->arena, options, number)), out);
  sky_buf_append_text(out, ",\n");
}

static void emit_source(const Model *model, const Message *message, SkyStr options, SkyBuf *out) {
  const char *m = message->short_name;
  sky_buf_printf(out, "const SkyEventType %s_event = {\n    .name = \"%s\",\n", m, message->full_name);
  emit_text_member(model, "subject", options, OPTION_SUBJECT, out);
  emit_text_member(model, "stream", options, OPTION_STREAM, out);
  emit_text_member(model, "aggregate_id_field", options, OPTION_AGGREGATE_ID_FIELD, out);
  emit_text_member(model, "event_id_field", options, OPTION_EVENT_ID_FIELD, out);
  sky_buf_printf(out, "    .message = {&%s__descriptor, %s},\n};\n\n", message->c_lower,
                 sky_emit_rules_of(model, message));
  sky_buf_printf(
      out,
      "static SkyStatus %s_invoke(const SkyEventRoute *route, SkyIncoming *incoming, const ProtobufCMessage *event) {\n"
      "  return ((%s_handler)route->handler)(route->self, incoming, (const %s *)event);\n"
      "}\n\n",
      m, m, m);
  sky_buf_printf(out,
                 "SkyEventRoute %s_route(%s_handler handler, void *self) {\n"
                 "  return (SkyEventRoute){\n"
                 "      .type = &%s_event, .handler = (SkyFunction)handler, .self = self, .invoke = %s_invoke};\n"
                 "}\n\n",
                 m, m, m, m);
}

static SkyStr event_options(const Model *model, const Message *message) {
  return sky_options_extension(model->arena, (const ProtobufCMessage *)message->proto->options, EXTENSION_SKY);
}

void sky_emit_event_header(Model *model, File *file, SkyBuf *out) {
  sky_emit_preamble(file, true, out);
  if (!has_events(file)) {
    sky_buf_append_text(out, "/* The contract has no events. */\n");
    return;
  }
  sky_buf_printf(out, "#include <sky/bus/bus.h>\n\n#include \"%s.sky.h\"\n\n", file->stem);
  for (size_t i = 0; i < file->message_count; i++) {
    if (!is_event(file->messages[i]))
      continue;
    check_event(model, file->messages[i], event_options(model, file->messages[i]));
    emit_header(model, file->messages[i], out);
  }
}

void sky_emit_event_source(Model *model, File *file, SkyBuf *out) {
  sky_emit_preamble(file, false, out);
  sky_buf_printf(out, "#include \"%s.event.h\"\n\n", file->stem);
  if (!has_events(file))
    sky_buf_append_text(out, "typedef int no_events; /* ISO C wants a declaration */\n");
  for (size_t i = 0; i < file->message_count; i++) {
    if (is_event(file->messages[i]))
      emit_source(model, file->messages[i], event_options(model, file->messages[i]), out);
  }
}
