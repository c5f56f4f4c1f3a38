#include "src/methods/methods.h"

namespace paycurl {

Result<std::vector<std::unique_ptr<Method>>> make_methods(const MethodOptions& options,
                                                          http::Client& client) {
  std::vector<std::unique_ptr<Method>> table;
  for (const auto make : {&tempo::make_method, &lightning::make_method}) {
    auto method = make(options, client);
    if (!method) return method.error();
    table.push_back(std::move(*method));
  }
  return table;
}

}  // namespace paycurl
