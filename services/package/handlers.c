#include "package/handlers.h"

#include <stdio.h>
#include <string.h>

#include <sky/codec/field_mask.h>
#include <sky/service/resource.h>

#include "fabrikam/package/v1/package.rpc.h"
#include "package/store.h"

typedef package_store_PackageDocument Document;

enum { MAX_TRIES = 8 /* of a change that others overtake */, DEFAULT_PAGE = 100 };

/* ---- documents ---- */

static SkyStatus unknown(const char *id) {
  return sky_status_with_reason(SKY_NOT_FOUND("there is no package %s", id), "PACKAGE_UNKNOWN");
}

/* Also what is deleted and only waits for its event to be published. */
static SkyStatus load_any(PackageService *self, SkyCall *call, const char *id, Document **ret, int64_t *ret_version) {
  ProtobufCMessage *message;
  SKY_TRY(sky_store_get(self->store, sky_call_context(call), &package_documents, id, sky_call_arena(call), &message,
                        ret_version));
  *ret = (Document *)message;
  return SKY_OK;
}

static SkyStatus load(PackageService *self, SkyCall *call, const char *id, Document **ret, int64_t *ret_version) {
  SkyStatus status = load_any(self, call, id, ret, ret_version);
  if (sky_status_take(&status, SKY_CODE_NOT_FOUND) || (status == SKY_OK && (*ret)->deleted))
    return unknown(id);
  return status;
}

static SkyStatus present(SkyCall *call, const Document *document, package_Package **ret) {
  document->package->etag = sky_etag_create(sky_call_arena(call), document->revision);
  if (document->package->etag == NULL)
    return sky_status_no_memory();
  *ret = document->package;
  return SKY_OK;
}

static SkyStatus replace(PackageService *self, SkyCall *call, Document *document, int64_t version) {
  document->revision++;
  document->package->etag = "";
  document->package->update_time = sky_timestamp_create(sky_call_arena(call), sky_clock_wall_ms(self->clock));
  if (document->package->update_time == NULL)
    return sky_status_no_memory();
  return sky_store_replace(self->store, sky_call_context(call), &package_documents, &document->base, version, NULL);
}

static SkyStatus mark(PackageService *self, SkyCall *call, Document *document) {
  char text[SKY_UUID_TEXT_SIZE];
  const SkyUuid uuid = sky_uuid_v7(sky_clock_wall_ms(self->clock), self->random);
  sky_uuid_format(&uuid, text);
  document->event_id = sky_call_strdup(call, text);
  document->pending = true;
  return document->event_id == NULL ? sky_status_no_memory() : SKY_OK;
}

/* ---- put ---- */

static bool is_same(const package_Package *a, const package_Package *b) {
  return a->size == b->size && a->weight_kg == b->weight_kg && strcmp(a->tag, b->tag) == 0 &&
         strcmp(a->owner_id, b->owner_id) == 0;
}

static SkyStatus insert(PackageService *self, SkyCall *call, const package_PutPackageRequest *request,
                        package_PutPackageResponse *response) {
  package_Package package = *request->package;
  package.create_time = sky_timestamp_create(sky_call_arena(call), sky_clock_wall_ms(self->clock));
  package.update_time = package.create_time;
  package.etag = "";
  Document *document = package_store_PackageDocument_create(sky_call_arena(call));
  if (document == NULL || package.create_time == NULL)
    return sky_status_no_memory();
  document->id = package.id;
  document->creator_id = request->creator_id;
  document->package = &package;
  document->revision = 1;
  SKY_TRY(mark(self, call, document));
  SKY_TRY(sky_store_insert(self->store, sky_call_context(call), &package_documents, &document->base));
  sky_pending_soon(self->events->pending, sky_call_context(call), document->id);
  SKY_TRY(package_Package_copy(&package, sky_call_arena(call), &document->package));
  response->created = true;
  return present(call, document, &response->package);
}

static SkyStatus overwrite(PackageService *self, SkyCall *call, const package_PutPackageRequest *request,
                           Document *document, int64_t version, package_PutPackageResponse *response) {
  if (strcmp(document->package->owner_id, request->package->owner_id) != 0)
    return sky_status_with_reason(SKY_ALREADY_EXISTS("package %s belongs to another owner", document->id),
                                  "PACKAGE_CONFLICT");
  SKY_TRY(sky_etag_check(request->if_match, document->revision));
  if (!is_same(document->package, request->package)) {
    document->package->size = request->package->size;
    document->package->weight_kg = request->package->weight_kg;
    document->package->tag = request->package->tag;
    SKY_TRY(replace(self, call, document, version));
  }
  /* A saga that asks again after a lost answer must learn again that the package is its own. */
  response->created = request->creator_id[0] != '\0' && strcmp(document->creator_id, request->creator_id) == 0;
  return present(call, document, &response->package);
}

static SkyStatus put_once(PackageService *self, SkyCall *call, const package_PutPackageRequest *request,
                          package_PutPackageResponse *response) {
  Document *document = NULL;
  int64_t version = 0;
  SkyStatus status = load_any(self, call, request->package->id, &document, &version);
  if (sky_status_take(&status, SKY_CODE_NOT_FOUND)) {
    if (request->if_match[0] != '\0')
      return unknown(request->package->id);
    return insert(self, call, request, response);
  }
  SKY_TRY(status);
  if (document->deleted) /* goes as soon as its event is published */
    return sky_status_with_retry_after_ms(SKY_UNAVAILABLE("package %s is being deleted", document->id), 100);
  return overwrite(self, call, request, document, version, response);
}

static bool was_overtaken(SkyStatus *status) {
  return (*status != SKY_OK && sky_status_reason(*status) == NULL) &&
         (sky_status_take(status, SKY_CODE_ABORTED) || sky_status_take(status, SKY_CODE_ALREADY_EXISTS));
}

static SkyStatus overtaken_too_often(const char *id) {
  return SKY_ABORTED("package %s is being changed by others", id);
}

static SkyStatus put_package(void *user, SkyCall *call, const package_PutPackageRequest *request,
                             package_PutPackageResponse *response) {
  if (request->package->owner_id[0] == '\0') {
    SkyStatus violations = SKY_OK;
    sky_violations_add(&violations, "package.owner_id", "is required");
    return violations;
  }
  for (int i = 0; i < MAX_TRIES; i++) {
    SkyStatus status = put_once(user, call, request, response);
    if (!was_overtaken(&status))
      return status;
  }
  return overtaken_too_often(request->package->id);
}

/* ---- get, update, delete ---- */

static SkyStatus get_package(void *user, SkyCall *call, const package_GetPackageRequest *request,
                             package_GetPackageResponse *response) {
  Document *document = NULL;
  SKY_TRY(load(user, call, request->id, &document, NULL));
  return present(call, document, &response->package);
}

static SkyStatus update_once(PackageService *self, SkyCall *call, const package_UpdatePackageRequest *request,
                             package_UpdatePackageResponse *response) {
  static const char *const changeable[] = {"size", "weight_kg", "tag", NULL};
  static const char *all[] = {"*"};
  Document *document = NULL;
  int64_t version;
  SKY_TRY(load(self, call, request->package->id, &document, &version));
  SKY_TRY(sky_etag_check(request->if_match, document->revision));
  const bool has_mask = request->update_mask != NULL;
  SKY_TRY(sky_field_mask_apply(has_mask ? request->update_mask->paths : all,
                               has_mask ? request->update_mask->n_paths : 1, changeable, &request->package->base,
                               &document->package->base, sky_call_arena(call)));
  SKY_TRY(replace(self, call, document, version));
  return present(call, document, &response->package);
}

static SkyStatus update_package(void *user, SkyCall *call, const package_UpdatePackageRequest *request,
                                package_UpdatePackageResponse *response) {
  for (int i = 0; i < MAX_TRIES; i++) {
    SkyStatus status = update_once(user, call, request, response);
    if (!was_overtaken(&status))
      return status;
  }
  return overtaken_too_often(request->package->id);
}

static SkyStatus delete_once(PackageService *self, SkyCall *call, const package_DeletePackageRequest *request,
                             package_DeletePackageResponse *response) {
  Document *document = NULL;
  int64_t version;
  SKY_TRY(load(self, call, request->id, &document, &version));
  const bool is_undo = request->creator_id[0] != '\0';
  if (is_undo && strcmp(document->creator_id, request->creator_id) != 0)
    return SKY_OK; /* made by somebody else: not this saga's to take away */
  SKY_TRY(sky_etag_check(request->if_match, document->revision));
  /* The mark is about to tell of the deletion: what it still had to tell comes first. */
  SKY_TRY(package_events_settle(self->events, sky_call_context(call), document, &version));
  document->deleted = true;
  SKY_TRY(mark(self, call, document));
  SKY_TRY(replace(self, call, document, version));
  sky_pending_soon(self->events->pending, sky_call_context(call), document->id);
  response->deleted = true;
  return SKY_OK;
}

static SkyStatus delete_package(void *user, SkyCall *call, const package_DeletePackageRequest *request,
                                package_DeletePackageResponse *response) {
  for (int i = 0; i < MAX_TRIES; i++) {
    SkyStatus status = delete_once(user, call, request, response);
    if (request->creator_id[0] != '\0' && sky_status_take(&status, SKY_CODE_NOT_FOUND))
      return SKY_OK;
    if (!was_overtaken(&status))
      return status;
  }
  return overtaken_too_often(request->id);
}

/* ---- lists and summaries ---- */

static SkyStatus list_packages(void *user, SkyCall *call, const package_ListPackagesRequest *request,
                               package_ListPackagesResponse *response) {
  PackageService *self = user;
  const bool by_tag = request->tag[0] != '\0';
  SkyQuery query = {.index = by_tag ? PACKAGES_BY_OWNER_AND_TAG : PACKAGES_BY_OWNER,
                    .equal = {SKY_V_TEXT(request->owner_id), SKY_V_BOOL(false)},
                    .page_size = request->page_size == 0 ? DEFAULT_PAGE : (size_t)request->page_size,
                    .page_token = request->page_token};
  if (by_tag)
    query.equal[2] = SKY_V_TEXT(request->tag);
  SkyArena *arena = sky_call_arena(call);
  SkyPage page;
  SKY_TRY(sky_store_find(self->store, sky_call_context(call), &package_documents, &query, arena, &page));
  response->packages = sky_arena_alloc(arena, page.count * sizeof(*response->packages));
  if (response->packages == NULL)
    return sky_status_no_memory();
  for (; response->n_packages < page.count; response->n_packages++)
    SKY_TRY(present(call, (Document *)page.documents[response->n_packages], &response->packages[response->n_packages]));
  response->next_page_token = page.next_page_token;
  return SKY_OK;
}

static int64_t month_start_ns(int year, int month) {
  return sky_unix_ns(sky_time_from_civil(month == 13 ? year + 1 : year, month == 13 ? 1 : month, 1), 0);
}

static SkyStatus get_summary(void *user, SkyCall *call, const package_GetSummaryRequest *request,
                             package_GetSummaryResponse *response) {
  PackageService *self = user;
  SkyArena *arena = sky_call_arena(call);
  package_PackageSummary *summary = package_PackageSummary_create(arena);
  common_Month *month = common_Month_create(arena);
  if (summary == NULL || month == NULL)
    return sky_status_no_memory();
  month->year = request->year;
  month->month = request->month;
  summary->owner_id = request->owner_id;
  summary->month = month;
  SkyQuery query = {.index = PACKAGES_BY_OWNER_AND_TIME,
                    .equal = {SKY_V_TEXT(request->owner_id), SKY_V_BOOL(false)},
                    .from = SKY_V_TIME(month_start_ns(request->year, request->month)),
                    .to = SKY_V_TIME(month_start_ns(request->year, request->month + 1)),
                    .page_size = SKY_PAGE_MAX};
  SkyArena pages;
  sky_arena_init(&pages, 16 << 20);
  char token[1024] = "";
  SkyStatus status = SKY_OK;
  do {
    SkyPage page;
    sky_arena_reset(&pages);
    query.page_token = token;
    status = sky_store_find(self->store, sky_call_context(call), &package_documents, &query, &pages, &page);
    if (status != SKY_OK)
      break;
    for (size_t i = 0; i < page.count; i++)
      summary->total_weight_kg += ((const Document *)page.documents[i])->package->weight_kg;
    summary->package_count += (int64_t)page.count;
    snprintf(token, sizeof(token), "%s", page.next_page_token);
  } while (token[0] != '\0');
  sky_arena_finish(&pages);
  response->summary = summary;
  return status;
}

SkyServiceBinding package_service_bind(PackageService *service) {
  static const package_PackageServiceHandlers handlers = {.get_package = get_package,
                                                          .put_package = put_package,
                                                          .update_package = update_package,
                                                          .list_packages = list_packages,
                                                          .delete_package = delete_package,
                                                          .get_summary = get_summary};
  return package_PackageService_bind(&handlers, service);
}
