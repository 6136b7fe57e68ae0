/*
 * ngx_http_sky_module: REST and JSON in front of gRPC services, by their contracts.
 *
 *   sky_contracts FILE;            http     FileDescriptorSet (protoc --include_imports); checked by nginx -t, read
 * anew by a reload sky_service NAME UPSTREAM;     http     which upstream {} serves a gRPC service; NAME may end in
 * "*": "fabrikam.delivery.v1.*" sky_pass;                      location answers requests by the contracts'
 * google.api.http rules sky_problem;                   location answers nginx's own errors (error_page) as
 * application/problem+json sky_max_message SIZE;          http, server, location   largest answer of a service; 4m
 *   sky_heartbeat TIME;            http, server, location   comment line in a quiet event stream; 15s
 *   sky_tries NUMBER;              http, server, location   peers tried for a call that none has seen; 2
 *
 * Variables: $sky_method (gRPC method), $sky_code (its status), $sky_trace_id.
 */
#include "exchange.h"
#include "memory.h"

/* ---- variables ---- */

static ngx_int_t set_variable(ngx_http_variable_value_t *v, SkyStr value) {
  if (value.size == 0) {
    v->not_found = 1;
    return NGX_OK;
  }
  v->valid = 1;
  v->no_cacheable = 1;
  v->not_found = 0;
  v->data = (u_char *)(uintptr_t)value.data;
  v->len = (unsigned)value.size & 0xfffffff;
  return NGX_OK;
}

static ngx_int_t variable(ngx_http_request_t *r, ngx_http_variable_value_t *v, uintptr_t which) {
  const SkyExchange *exchange = ngx_http_get_module_ctx(r, ngx_http_sky_module);
  if (exchange == NULL)
    return set_variable(v, (SkyStr){"", 0});
  if (which == 0)
    return set_variable(v, exchange->route.method == NULL ? (SkyStr){"", 0} : exchange->route.method->full_name);
  return set_variable(v, sky_str(which == 1 ? sky_code_name(exchange->outcome) : exchange->trace_id));
}

static ngx_int_t add_variables(ngx_conf_t *cf) {
  static const char *const names[] = {"sky_method", "sky_code", "sky_trace_id"};
  for (uintptr_t i = 0; i < 3; i++) {
    ngx_str_t name = {ngx_strlen(names[i]), (u_char *)(uintptr_t)names[i]};
    ngx_http_variable_t *added = ngx_http_add_variable(cf, &name, NGX_HTTP_VAR_NOCACHEABLE);
    if (added == NULL)
      return NGX_ERROR;
    added->get_handler = variable;
    added->data = i;
  }
  return NGX_OK;
}

/* ---- configuration ---- */

static void *create_main(ngx_conf_t *cf) {
  SkyGatewayMain *main = ngx_pcalloc(cf->pool, sizeof(*main));
  if (main == NULL || ngx_array_init(&main->services, cf->pool, 16, sizeof(SkyGatewayService)) != NGX_OK)
    return NULL;
  return main;
}

static void *create_location(ngx_conf_t *cf) {
  SkyGatewayLocation *location = ngx_pcalloc(cf->pool, sizeof(*location));
  if (location == NULL)
    return NULL;
  location->max_message_bytes = NGX_CONF_UNSET_SIZE;
  location->heartbeat = NGX_CONF_UNSET_MSEC;
  location->tries = NGX_CONF_UNSET_UINT;
  return location;
}

static char *merge_location(ngx_conf_t *cf, void *parent, void *child) {
  SkyGatewayLocation *previous = parent, *location = child;
  ngx_conf_merge_size_value(location->max_message_bytes, previous->max_message_bytes, 4 << 20);
  ngx_conf_merge_msec_value(location->heartbeat, previous->heartbeat, 15000);
  ngx_conf_merge_uint_value(location->tries, previous->tries, 2);
  return NGX_CONF_OK;
}

static void destroy_contracts(void *data) {
  sky_contracts_destroy(data);
}

static char *set_contracts(ngx_conf_t *cf, ngx_command_t *command, void *conf) {
  SkyGatewayMain *main = conf;
  ngx_str_t *words = cf->args->elts;
  if (main->contracts != NULL)
    return "is duplicate";
  main->contracts_file = words[1];
  if (ngx_conf_full_name(cf->cycle, &main->contracts_file, 1) != NGX_OK)
    return NGX_CONF_ERROR;
  ngx_pool_cleanup_t *cleaner = ngx_pool_cleanup_add(cf->pool, 0);
  if (cleaner == NULL)
    return NGX_CONF_ERROR;
  SkyStatus status = sky_contracts_load_file((const char *)main->contracts_file.data, NULL, &main->contracts);
  if (status != SKY_OK) {
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "sky_contracts: %s", sky_status_message(status));
    sky_status_free(status);
    return NGX_CONF_ERROR;
  }
  cleaner->handler = destroy_contracts;
  cleaner->data = main->contracts;
  return NGX_CONF_OK;
}

static char *set_service(ngx_conf_t *cf, ngx_command_t *command, void *conf) {
  SkyGatewayMain *main = conf;
  ngx_str_t *words = cf->args->elts;
  SkyGatewayService *service = ngx_array_push(&main->services);
  ngx_url_t url;
  ngx_memzero(&url, sizeof(url));
  url.url = words[2];
  url.no_resolve = 1;
  if (service == NULL)
    return NGX_CONF_ERROR;
  *service = (SkyGatewayService){.name = {(const char *)words[1].data, words[1].len}};
  if (sky_str_ends_with(service->name, SKY_STR("*"))) {
    service->is_prefix = true;
    service->name.size--;
  }
  service->upstream = ngx_http_upstream_add(cf, &url, 0);
  return service->upstream == NULL ? NGX_CONF_ERROR : NGX_CONF_OK;
}

static char *set_handler(ngx_conf_t *cf, ngx_command_t *command, void *conf) {
  ngx_http_core_loc_conf_t *core = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
  core->handler = ngx_strcmp(command->name.data, "sky_pass") == 0 ? sky_exchange_handler : sky_problem_handler;
  return NGX_CONF_OK;
}

/* The longest match wins; an exact name is longer than any of its prefixes. */
static const SkyGatewayService *service_of(const SkyGatewayMain *main, const SkyMethod *method) {
  const SkyGatewayService *best = NULL, *services = main->services.elts;
  /* "package.Service.Method" without its last part. */
  SkyStr name = method->full_name;
  while (name.size > 0 && name.data[name.size - 1] != '.')
    name.size--;
  name.size -= name.size > 0;
  for (ngx_uint_t i = 0; i < main->services.nelts; i++) {
    const SkyGatewayService *service = &services[i];
    const bool matches =
        service->is_prefix ? sky_str_starts_with(name, service->name) : sky_str_equal(name, service->name);
    if (matches && (best == NULL || service->name.size > best->name.size))
      best = service;
  }
  return best;
}

static int by_address(const void *a, const void *b) {
  const uintptr_t left = (uintptr_t)((const SkyGatewayRoute *)a)->method;
  const uintptr_t right = (uintptr_t)((const SkyGatewayRoute *)b)->method;
  return left < right ? -1 : left > right;
}

static ngx_int_t resolve_routes(ngx_conf_t *cf, SkyGatewayMain *main) {
  const size_t count = sky_contracts_method_count(main->contracts);
  main->routes = ngx_pcalloc(cf->pool, ngx_max(count, 1) * sizeof(*main->routes));
  if (main->routes == NULL)
    return NGX_ERROR;
  for (size_t i = 0; i < count; i++) {
    const SkyMethod *method = sky_contracts_method_at(main->contracts, i);
    if (!method->is_public)
      continue;
    const SkyGatewayService *service = service_of(main, method);
    if (service == NULL) {
      ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "no sky_service says where %*s is served", method->full_name.size,
                         method->full_name.data);
      return NGX_ERROR;
    }
    main->routes[main->route_count++] = (SkyGatewayRoute){method, service->upstream};
  }
  qsort(main->routes, main->route_count, sizeof(*main->routes), by_address);
  return NGX_OK;
}

static ngx_int_t postconfiguration(ngx_conf_t *cf) {
  SkyGatewayMain *main = ngx_http_conf_get_module_main_conf(cf, ngx_http_sky_module);
  return main->contracts == NULL ? NGX_OK : resolve_routes(cf, main);
}

static void exit_process(ngx_cycle_t *cycle) {
  sky_backend_close_all();
  sky_memory_free_all();
}

static ngx_command_t commands[] = {
    {ngx_string("sky_contracts"), NGX_HTTP_MAIN_CONF | NGX_CONF_TAKE1, set_contracts, NGX_HTTP_MAIN_CONF_OFFSET, 0,
     NULL},
    {ngx_string("sky_service"), NGX_HTTP_MAIN_CONF | NGX_CONF_TAKE2, set_service, NGX_HTTP_MAIN_CONF_OFFSET, 0, NULL},
    {ngx_string("sky_pass"), NGX_HTTP_LOC_CONF | NGX_CONF_NOARGS, set_handler, NGX_HTTP_LOC_CONF_OFFSET, 0, NULL},
    {ngx_string("sky_problem"), NGX_HTTP_LOC_CONF | NGX_CONF_NOARGS, set_handler, NGX_HTTP_LOC_CONF_OFFSET, 0, NULL},
    {ngx_string("sky_max_message"), NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF | NGX_CONF_TAKE1,
     ngx_conf_set_size_slot, NGX_HTTP_LOC_CONF_OFFSET, offsetof(SkyGatewayLocation, max_message_bytes), NULL},
    {ngx_string("sky_heartbeat"), NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF | NGX_CONF_TAKE1,
     ngx_conf_set_msec_slot, NGX_HTTP_LOC_CONF_OFFSET, offsetof(SkyGatewayLocation, heartbeat), NULL},
    {ngx_string("sky_tries"), NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF | NGX_CONF_TAKE1,
     ngx_conf_set_num_slot, NGX_HTTP_LOC_CONF_OFFSET, offsetof(SkyGatewayLocation, tries), NULL},
    ngx_null_command};

static ngx_http_module_t context = {.preconfiguration = add_variables,
                                    .postconfiguration = postconfiguration,
                                    .create_main_conf = create_main,
                                    .create_loc_conf = create_location,
                                    .merge_loc_conf = merge_location};

__attribute__((visibility("default"))) ngx_module_t ngx_http_sky_module = {NGX_MODULE_V1,
                                                                           &context,
                                                                           commands,
                                                                           NGX_HTTP_MODULE,
                                                                           NULL, /* init_master */
                                                                           NULL, /* init_module */
                                                                           NULL, /* init_process */
                                                                           NULL, /* init_thread */
                                                                           NULL, /* exit_thread */
                                                                           exit_process,
                                                                           NULL, /* exit_master */
                                                                           NGX_MODULE_V1_PADDING};

/* What nginx's own build would generate for a dynamic module. */
__attribute__((visibility("default"))) ngx_module_t *ngx_modules[] = {&ngx_http_sky_module, NULL};
__attribute__((visibility("default"))) char *ngx_module_names[] = {"ngx_http_sky_module", NULL};
__attribute__((visibility("default"))) char *ngx_module_order[] = {NULL};
