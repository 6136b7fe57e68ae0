/* Routes: a request line is walked through the trie of all HTTP rules. */
#include <sky/transcode/route.h>

#include <stdio.h>
#include <string.h>

#include <sky/transcode/problem.h>

#include "descriptor.h"
#include "percent.h"

enum { MAX_ALLOWED = 8 };

/* One request's walk through the trie. */
typedef struct Search {
  SkyStr method;
  SkyStr segments[SKY_ROUTE_MAX_SEGMENTS];
  size_t segment_count;
  SkyStr verb;
  const SkyBinding *found;
  SkyStr allowed[MAX_ALLOWED]; /* methods of the paths that matched */
  size_t allowed_count;
} Search;

static void allow(Search *search, SkyStr method) {
  for (size_t i = 0; i < search->allowed_count; i++)
    if (sky_str_equal(search->allowed[i], method))
      return;
  if (search->allowed_count < MAX_ALLOWED)
    search->allowed[search->allowed_count++] = method;
}

static bool method_fits(const SkyBinding *binding, SkyStr method) {
  return sky_str_equal(binding->http_method, method) || sky_str_is(binding->http_method, "*");
}

static const SkyBinding *choose_binding(const Terminal *terminal, SkyStr method) {
  const SkyBinding *fallback = NULL;
  for (const SkyBinding *binding = terminal->bindings; binding != NULL; binding = binding->next) {
    if (sky_str_equal(binding->http_method, method))
      return binding;
    /* HEAD is GET without its body; "*" takes any method that nobody else does. */
    if (method_fits(binding, method) || (sky_str_is(method, "HEAD") && sky_str_is(binding->http_method, "GET")))
      fallback = binding;
  }
  return fallback;
}

static bool search_terminals(Search *search, const RouteNode *node) {
  for (const Terminal *terminal = node->terminals; terminal != NULL; terminal = terminal->next) {
    if (!sky_str_equal(terminal->verb, search->verb))
      continue;
    search->found = choose_binding(terminal, search->method);
    if (search->found != NULL)
      return true;
    for (const SkyBinding *binding = terminal->bindings; binding != NULL; binding = binding->next)
      allow(search, binding->http_method);
  }
  return false;
}

static bool rest_fits(const Search *search, size_t index) {
  for (; index < search->segment_count; index++)
    if (search->segments[index].size == 0)
      return false;
  return true;
}

static bool literal_fits(SkyStr segment, SkyStr literal) {
  if (segment.size == literal.size && memcmp(segment.data, literal.data, literal.size) == 0)
    return true;
  return segment.size > literal.size && memchr(segment.data, '%', segment.size) != NULL &&
         percent_equals(segment, literal);
}

/* Literal before `*` before `**`. Every node is entered at most once per segment, so the cost is bounded by the trie,
 * not by the path. */
static bool search_node(Search *search, const RouteNode *node, size_t index) {
  if (index == search->segment_count && search_terminals(search, node))
    return true;
  if (index < search->segment_count) {
    const SkyStr segment = search->segments[index];
    for (const RouteNode *child = node->literals; child != NULL; child = child->next)
      if (literal_fits(segment, child->literal) && search_node(search, child, index + 1))
        return true;
    if (node->star != NULL && segment.size > 0 && search_node(search, node->star, index + 1))
      return true;
  }
  return node->rest != NULL && rest_fits(search, index) && search_terminals(search, node->rest);
}

/*
 * The last segment may end in a verb. The longest one that any route has for this path wins, and then the path is not
 * tried without it, or else GET /jobs/7:cancel would read a job called "7:cancel" when only POST has the verb.
 */
static void search_all(Search *search, const SkyContracts *contracts) {
  SkyStr *last = &search->segments[search->segment_count - 1];
  const SkyStr whole = *last;
  for (size_t i = 1; contracts->has_verbs && i < whole.size; i++) {
    if (whole.data[i] != ':')
      continue;
    *last = (SkyStr){.data = whole.data, .size = i};
    search->verb = (SkyStr){.data = whole.data + i + 1, .size = whole.size - i - 1};
    if (search->verb.size > 0 && (search_node(search, &contracts->root, 0) || search->allowed_count > 0))
      return;
  }
  *last = whole;
  search->verb = SKY_STR("");
  search_node(search, &contracts->root, 0);
}

static SkyStatus bad_path(SkyRoute *ret, const char *why) {
  ret->outcome = SKY_ROUTE_BAD_PATH;
  return SKY_INVALID_ARGUMENT("the path %s", why);
}

static SkyStatus split_path(SkyStr path, Search *search, SkyRoute *ret) {
  if (path.size == 0 || *path.data != '/')
    return bad_path(ret, "does not begin with /");
  path.data++;
  path.size--;
  if (!percent_is_valid(path))
    return bad_path(ret, "has a % that is not followed by two hexadecimal digits");
  for (bool more = true; more;) {
    SkyStr segment = path;
    more = sky_str_cut(&path, '/', &segment);
    if (!more)
      segment = path;
    if (percent_is_dot_segment(segment))
      return bad_path(ret, "has a segment of dots");
    if (search->segment_count == SKY_ROUTE_MAX_SEGMENTS)
      return bad_path(ret, "has too many segments");
    search->segments[search->segment_count++] = segment;
  }
  return SKY_OK;
}

static void take_values(const Search *search, SkyRoute *ret) {
  const Template *template = &search->found->template;
  ret->value_count = template->variable_count;
  for (size_t i = 0; i < template->variable_count; i++) {
    const Variable *variable = &template->variables[i];
    size_t end = (size_t)variable->first + variable->count;
    if (template->segments[end - 1].kind == SEGMENT_REST)
      end = search->segment_count;
    if (end <= variable->first) { /* "**" that took nothing */
      ret->values[i] = SKY_STR("");
      continue;
    }
    const char *start = search->segments[variable->first].data;
    const SkyStr last = search->segments[end - 1];
    ret->values[i] = (SkyStr){.data = start, .size = (size_t)(last.data + last.size - start)};
  }
}

static size_t add_allowed(char *text, size_t used, SkyStr method) {
  if (used + method.size + 3 >= SKY_ROUTE_ALLOW_SIZE)
    return used;
  return used + (size_t)snprintf(text + used, SKY_ROUTE_ALLOW_SIZE - used, "%s%.*s", used == 0 ? "" : ", ",
                                 SKY_STR_ARGS(method));
}

static void write_allow(const Search *search, char *text) {
  size_t used = 0;
  for (size_t i = 0; i < search->allowed_count; i++) {
    used = add_allowed(text, used, search->allowed[i]);
    if (sky_str_is(search->allowed[i], "GET"))
      used = add_allowed(text, used, SKY_STR("HEAD"));
  }
  add_allowed(text, used, SKY_STR("OPTIONS"));
}

static SkyStatus not_found(const Search *search, SkyRoute *ret) {
  if (search->allowed_count == 0) {
    ret->outcome = SKY_ROUTE_NOT_FOUND;
    return sky_status_with_reason(SKY_NOT_FOUND("there is nothing at this path"), SKY_REASON_NO_ROUTE);
  }
  write_allow(search, ret->allow);
  if (sky_str_is(search->method, "OPTIONS")) {
    ret->outcome = SKY_ROUTE_OPTIONS;
    return SKY_OK;
  }
  ret->outcome = SKY_ROUTE_NOT_ALLOWED;
  return sky_status_with_reason(SKY_UNIMPLEMENTED("this path takes %s only", ret->allow), SKY_REASON_NOT_ALLOWED);
}

SkyStatus sky_transcode_route(const SkyContracts *contracts, SkyStr http_method, SkyStr path, SkyRoute *ret) {
  Search search; /* not as a whole: its segments alone are a kilobyte */
  search.method = http_method;
  search.segment_count = 0;
  search.verb = SKY_STR("");
  search.found = NULL;
  search.allowed_count = 0;
  *ret = (SkyRoute){.outcome = SKY_ROUTE_NOT_FOUND};
  SKY_TRY(split_path(path, &search, ret));
  search_all(&search, contracts);
  if (search.found == NULL)
    return not_found(&search, ret);
  ret->outcome = SKY_ROUTE_FOUND;
  ret->binding = search.found;
  ret->method = &search.found->entry->method;
  ret->head = sky_str_is(http_method, "HEAD") && sky_str_is(search.found->http_method, "GET");
  take_values(&search, ret);
  return SKY_OK;
}
