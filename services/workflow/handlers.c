#include "workflow/handlers.h"

#include <stdio.h>
#include <string.h>

#include "fabrikam/workflow/v1/workflow.rpc.h"
#include "workflow/store.h"

enum { DEFAULT_PAGE = 100, LOOK_ARENA_BYTES = 4 << 20, MAX_LOOKS = 256 };

static SkyStatus unknown(const char *id) {
  return sky_status_with_reason(SKY_NOT_FOUND("there is no workflow %s", id), "WORKFLOW_UNKNOWN");
}

static SkyStatus look(WorkflowService *self, const SkyContext *context, const char *id, SkyArena *arena,
                      workflow_Workflow **ret) {
  bool found = false;
  SKY_TRY(driver_get(self->driver, id, arena, ret, &found));
  if (found)
    return workflow_present(*ret, arena);
  ProtobufCMessage *document;
  SkyStatus status = sky_store_get(self->store, context, &workflow_sagas, id, arena, &document, NULL);
  if (sky_status_take(&status, SKY_CODE_NOT_FOUND))
    return unknown(id);
  SKY_TRY(status);
  *ret = ((const workflow_store_Saga *)document)->workflow;
  if (*ret == NULL || (*ret)->order == NULL) /* a cancellation that came before its order */
    return unknown(id);
  return workflow_present(*ret, arena);
}

static SkyStatus get_workflow(void *self, SkyCall *call, const workflow_GetWorkflowRequest *request,
                              workflow_GetWorkflowResponse *response) {
  return look(self, sky_call_context(call), request->id, sky_call_arena(call), &response->workflow);
}

static SkyQuery list_query(const workflow_ListWorkflowsRequest *request) {
  const bool by_owner = request->owner_id[0] != '\0';
  const bool by_state = request->state != workflow_WORKFLOW_STATE_UNSPECIFIED;
  SkyQuery query = {.index = by_owner ? (by_state ? SAGAS_BY_OWNER_STATE : SAGAS_BY_OWNER)
                                      : (by_state ? SAGAS_BY_STATE : SAGAS_BY_TIME),
                    .descending = true,
                    .page_size = request->page_size == 0 ? DEFAULT_PAGE : (size_t)request->page_size,
                    .page_token = request->page_token};
  size_t fields = 0;
  if (by_owner)
    query.equal[fields++] = SKY_V_TEXT(request->owner_id);
  if (by_state)
    query.equal[fields] = SKY_V_INT(request->state);
  return query;
}

static SkyStatus list_workflows(void *user, SkyCall *call, const workflow_ListWorkflowsRequest *request,
                                workflow_ListWorkflowsResponse *response) {
  WorkflowService *self = user;
  SkyArena *arena = sky_call_arena(call);
  const SkyQuery query = list_query(request);
  SkyPage page;
  SKY_TRY(sky_store_find(self->store, sky_call_context(call), &workflow_sagas, &query, arena, &page));
  response->workflows = sky_arena_alloc(arena, page.count * sizeof(*response->workflows));
  if (response->workflows == NULL)
    return sky_status_no_memory();
  for (size_t i = 0; i < page.count; i++) {
    workflow_Workflow *workflow = ((const workflow_store_Saga *)page.documents[i])->workflow;
    if (workflow == NULL || workflow->order == NULL)
      continue;
    SKY_TRY(workflow_present(workflow, arena));
    response->workflows[response->n_workflows++] = workflow;
  }
  response->next_page_token = page.next_page_token;
  return SKY_OK;
}

/* The call may have ended when this is told: nothing of it is used any more. */
static void tell_present(WorkflowService *self, const char *id) {
  SkyArena arena;
  sky_arena_init(&arena, LOOK_ARENA_BYTES);
  const SkyContext background = sky_context_background();
  const SkyContext context = sky_context_with_timeout_ms(&background, 3000);
  workflow_Workflow *workflow;
  SkyStatus status = look(self, &context, id, &arena, &workflow);
  if (status == SKY_OK)
    watchers_tell(self->watchers, workflow);
  sky_status_free(status); /* unknown: the watcher waits for it to begin */
  sky_arena_finish(&arena);
}

SkyStatus workflow_look_after_watchers(void *service, const SkyContext *context) {
  WorkflowService *self = service;
  char ids[MAX_LOOKS][SAGA_ID_SIZE];
  const size_t count = watchers_quiet(self->watchers, ids, MAX_LOOKS);
  for (size_t i = 0; i < count; i++)
    tell_present(self, ids[i]);
  return SKY_OK;
}

static SkyStatus watch_workflow(void *user, SkyCall *call, const workflow_WatchWorkflowRequest *request) {
  WorkflowService *self = user;
  char id[SAGA_ID_SIZE];
  snprintf(id, sizeof(id), "%s", request->id);
  SkyStatus deferred = watchers_add(self->watchers, call, id, request->after_version);
  /* Registered first: what changes in between is told twice rather than not at all. */
  tell_present(self, id);
  return deferred;
}

SkyServiceBinding workflow_service_bind(WorkflowService *service) {
  static const workflow_WorkflowServiceHandlers handlers = {
      .get_workflow = get_workflow, .list_workflows = list_workflows, .watch_workflow = watch_workflow};
  return workflow_WorkflowService_bind(&handlers, service);
}
