/*
 * Path templates, google/api/http.proto:
 *
 *     Template = "/" Segments [ Verb ] ;
 *     Segments = Segment { "/" Segment } ;
 *     Segment  = "*" | "**" | LITERAL | Variable ;
 *     Variable = "{" FieldPath [ "=" Segments ] "}" ;
 *     Verb     = ":" LITERAL ;
 */
#include "load.h"

#include <string.h>

#include "percent.h"

typedef struct Parser {
  SkyContracts *contracts;
  const SkyMessageType *request;
  SkyStr rest;
  Template *template;
  bool in_variable;
} Parser;

static char peek(const Parser *parser) {
  return parser->rest.size == 0 ? '\0' : *parser->rest.data;
}

static bool take(Parser *parser, char wanted) {
  if (peek(parser) != wanted)
    return false;
  parser->rest.data++;
  parser->rest.size--;
  return true;
}

/* Text up to one of the characters in `ends` or the end. */
static SkyStr take_until(Parser *parser, const char *ends) {
  SkyStr text = {.data = parser->rest.data, .size = 0};
  while (text.size < parser->rest.size && strchr(ends, text.data[text.size]) == NULL)
    text.size++;
  parser->rest.data += text.size;
  parser->rest.size -= text.size;
  return text;
}

static bool is_literal(SkyStr text) {
  for (size_t i = 0; i < text.size; i++)
    if (text.data[i] <= ' ' || text.data[i] == 0x7f || strchr("?#{}*\\", text.data[i]) != NULL)
      return false;
  return text.size > 0 && percent_is_valid(text) && !percent_is_dot_segment(text);
}

static SkyStatus add_segment(Parser *parser, Segment segment) {
  Template *template = parser->template;
  if (template->segment_count > 0 && template->segments[template->segment_count - 1].kind == SEGMENT_REST)
    return SKY_INVALID_ARGUMENT("** must be the last segment");
  if (template->segment_count == SKY_ROUTE_MAX_SEGMENTS)
    return SKY_INVALID_ARGUMENT("it has more than %d segments", SKY_ROUTE_MAX_SEGMENTS);
  template->segments[template->segment_count++] = segment;
  return SKY_OK;
}

static SkyStatus parse_literal(Parser *parser) {
  /* A colon begins the verb only in the last segment. */
  SkyStr text = take_until(parser, parser->in_variable ? "/}" : "/");
  if (parser->rest.size == 0 && !parser->in_variable) {
    SkyStr head = text;
    if (sky_str_cut(&text, ':', &head)) {
      parser->rest = (SkyStr){.data = text.data - 1, .size = text.size + 1};
      text = head;
    }
  }
  if (!is_literal(text))
    return SKY_INVALID_ARGUMENT("\"%.*s\" is no segment", SKY_STR_ARGS(text));
  Segment segment = {.kind = SEGMENT_LITERAL};
  if (percent_decode(text, PERCENT_SEGMENT, &parser->contracts->arena, &segment.literal) != PERCENT_OK)
    return sky_status_no_memory();
  segment.literal = load_copy(parser->contracts, segment.literal);
  return segment.literal.data == NULL ? sky_status_no_memory() : add_segment(parser, segment);
}

static SkyStatus parse_star(Parser *parser) {
  const SegmentKind kind = take(parser, '*') ? SEGMENT_REST : SEGMENT_STAR;
  return add_segment(parser, (Segment){.kind = kind});
}

static SkyStatus parse_segments(Parser *parser);

/* What can stand in a path: one text, number, bool, enum, or a well-known type whose JSON is one of these. */
static bool is_bindable(const FieldPath *path) {
  if (path->count == 0)
    return false;
  const SkyField *leaf = path->fields[path->count - 1];
  if (leaf->repeated)
    return false;
  if (leaf->message == NULL)
    return true;
  const WellKnown known = leaf->message->well_known;
  return known == WELL_KNOWN_TIMESTAMP || known == WELL_KNOWN_DURATION || known == WELL_KNOWN_FIELD_MASK ||
         known == WELL_KNOWN_WRAPPER;
}

static bool is_bound(const Template *template, const FieldPath *path) {
  for (size_t i = 0; i + 1 < template->variable_count; i++) {
    const FieldPath *other = &template->variables[i].path;
    const size_t common = other->count < path->count ? other->count : path->count;
    if (memcmp(other->fields, path->fields, common * sizeof(*path->fields)) == 0)
      return true;
  }
  return false;
}

static SkyStatus parse_variable_name(Parser *parser, Variable *variable) {
  const SkyStr name = take_until(parser, "=}/");
  if (!load_is_identifier(name, true))
    return SKY_INVALID_ARGUMENT("{%.*s} is no variable", SKY_STR_ARGS(name));
  SKY_TRY(load_field_path(parser->contracts, parser->request, name, &variable->path));
  if (variable->path.count == 0)
    return SKY_INVALID_ARGUMENT("path variable {%.*s} is not a field of %.*s", SKY_STR_ARGS(name),
                                SKY_STR_ARGS(parser->request->full_name));
  if (!is_bindable(&variable->path))
    return SKY_INVALID_ARGUMENT("path variable {%.*s} is a list, a map or a message", SKY_STR_ARGS(name));
  if (is_bound(parser->template, &variable->path))
    return SKY_INVALID_ARGUMENT("path variable {%.*s} is bound twice", SKY_STR_ARGS(name));
  return SKY_OK;
}

static SkyStatus parse_variable(Parser *parser) {
  Template *template = parser->template;
  if (template->variable_count == SKY_ROUTE_MAX_VARIABLES)
    return SKY_INVALID_ARGUMENT("it has more than %d variables", SKY_ROUTE_MAX_VARIABLES);
  Variable *variable = &template->variables[template->variable_count++];
  variable->first = (uint16_t) template->segment_count;
  SKY_TRY(parse_variable_name(parser, variable));
  parser->in_variable = true;
  if (take(parser, '='))
    SKY_TRY(parse_segments(parser));
  else
    SKY_TRY(add_segment(parser, (Segment){.kind = SEGMENT_STAR}));
  parser->in_variable = false;
  if (!take(parser, '}'))
    return SKY_INVALID_ARGUMENT("a { has no }");
  variable->count = (uint16_t)(template->segment_count - variable->first);
  variable->multi = variable->count > 1 || template->segments[variable->first].kind == SEGMENT_REST;
  return SKY_OK;
}

static SkyStatus parse_segment(Parser *parser) {
  if (take(parser, '*'))
    return parse_star(parser);
  if (peek(parser) != '{')
    return parse_literal(parser);
  if (parser->in_variable)
    return SKY_INVALID_ARGUMENT("a variable must not contain another");
  (void)take(parser, '{');
  return parse_variable(parser);
}

static SkyStatus parse_segments(Parser *parser) {
  do
    SKY_TRY(parse_segment(parser));
  while (take(parser, '/'));
  return SKY_OK;
}

static SkyStatus parse_verb(Parser *parser) {
  if (parser->rest.size == 0)
    return SKY_OK;
  if (!take(parser, ':') || !is_literal(parser->rest) || memchr(parser->rest.data, '/', parser->rest.size) != NULL)
    return SKY_INVALID_ARGUMENT("\"%.*s\" is neither a segment nor a verb", SKY_STR_ARGS(parser->rest));
  parser->template->verb = load_copy(parser->contracts, parser->rest);
  return parser->template->verb.data == NULL ? sky_status_no_memory() : SKY_OK;
}

static bool template_init(SkyContracts *contracts, SkyStr text, Template *template) {
  *template = (Template){.text = load_copy(contracts, text)};
  template->segments = sky_arena_alloc(&contracts->arena, SKY_ROUTE_MAX_SEGMENTS * sizeof(Segment));
  template->variables = sky_arena_alloc(&contracts->arena, SKY_ROUTE_MAX_VARIABLES * sizeof(Variable));
  return template->text.data != NULL && template->segments != NULL && template->variables != NULL;
}

SkyStatus template_parse(SkyContracts *contracts, const SkyMessageType *request, SkyStr text, Template *ret) {
  if (!template_init(contracts, text, ret))
    return sky_status_no_memory();
  Parser parser = {.contracts = contracts, .request = request, .rest = text, .template = ret};
  if (!take(&parser, '/'))
    return SKY_INVALID_ARGUMENT("a path must begin with /");
  SKY_TRY(parse_segments(&parser));
  return parse_verb(&parser);
}
