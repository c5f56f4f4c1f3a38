// The directory of paid services, as mpp.dev serves it: GET /api/services.
//
//   {"version": 1, "services": [{"id", "name", "url", "serviceUrl", "description", "status",
//     "categories": [], "tags": [], "methods": {"tempo": {"intents": []}}, "docs": {}, "provider":
//     {}, "endpoints": [{"method", "path", "description", "payment": null | {"method", "intent",
//       "amount"?, "currency", "decimals", "unitType"?, "dynamic"?, "amountHint"?}}]}]}
//
// Anybody may write into it: every field is optional, none is trusted.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/money.h"
#include "src/base/result.h"

namespace paycurl {

/// What an endpoint says that it costs; its challenge decides. Empty strings are absent.
struct ListedPrice {
  std::string method, intent, currency, unit, hint, description;
  std::optional<Amount> amount;  ///< in base units
  std::optional<int> decimals;   ///< 0 to 36
  bool dynamic = false;          ///< the price depends on the request

  /// amount / 10^decimals; empty when one of them is absent.
  std::string units() const;
};

struct ListedEndpoint {
  std::string method, path, description;
  std::optional<ListedPrice> price;  ///< nullopt: free
};

struct ListedService {
  std::string id;  ///< never empty
  std::string name, url, service_url, description, status, provider, realm;
  std::string homepage, api_reference, llms;  ///< documentation
  std::vector<std::string> categories, tags, methods;
  std::vector<ListedEndpoint> endpoints;

  std::size_t paid_endpoints() const;
};

inline constexpr std::size_t kMaxRegistry = 4UL << 20;

/// Reads the answer. What has another type is taken as absent, a service without an id is left out.
/// Kind::protocol when it is not such a directory or longer than `kMaxRegistry`.
Result<std::vector<ListedService>> read_registry(std::string_view text);

/// Which of them a user asks for. Empty members want all.
struct RegistryFilter {
  std::string text;  ///< in id, name, description, categories or tags, of either case
  std::string category, method, status;

  bool matches(const ListedService& service) const;
};

}  // namespace paycurl
