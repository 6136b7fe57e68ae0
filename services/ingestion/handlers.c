#include "ingestion/handlers.h"

#include "fabrikam/ingestion/v1/ingestion.rpc.h"

SkyServiceBinding ingestion_service_bind(IngestionService *service) {
  static const ingestion_IngestionServiceHandlers handlers = {.create_delivery_request = ingestion_create,
                                                              .create_delivery_requests = ingestion_create_many,
                                                              .get_delivery_request = ingestion_get,
                                                              .list_delivery_requests = ingestion_list,
                                                              .watch_delivery_request = ingestion_watch,
                                                              .reschedule_delivery = ingestion_reschedule,
                                                              .cancel_delivery = ingestion_cancel};
  return ingestion_IngestionService_bind(&handlers, service);
}
