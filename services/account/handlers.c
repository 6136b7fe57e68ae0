#include "account/handlers.h"

#include "fabrikam/account/v1/account.rpc.h"

SkyServiceBinding account_service_bind(AccountService *service) {
  static const account_AccountServiceHandlers handlers = {.create_account = account_create,
                                                          .get_account = account_get,
                                                          .list_accounts = account_list,
                                                          .update_account = account_update,
                                                          .suspend_account = account_suspend,
                                                          .reactivate_account = account_reactivate,
                                                          .create_user = account_create_user,
                                                          .get_user = account_get_user,
                                                          .list_users = account_list_users,
                                                          .update_user = account_update_user,
                                                          .delete_user = account_delete_user,
                                                          .list_plans = account_list_plans,
                                                          .check_account = account_check,
                                                          .get_invoice = account_get_invoice,
                                                          .list_invoices = account_list_invoices};
  return account_AccountService_bind(&handlers, service);
}
