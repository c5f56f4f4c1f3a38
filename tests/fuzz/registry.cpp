// The directory of services: whatever is in it can be shown.
#include "src/protocols/registry.h"

#include "src/base/text.h"
#include "tests/fuzz/fuzz.h"

void paycurl::fuzz_one(std::string_view input) {
  const auto services = read_registry(input);
  if (!services) return;
  for (const ListedService& service : *services) {
    FUZZ_CHECK(!service.id.empty());
    FUZZ_CHECK(service.paid_endpoints() <= service.endpoints.size());
    FUZZ_CHECK(RegistryFilter{}.matches(service));
    FUZZ_CHECK((RegistryFilter{service.id, "", "", ""}.matches(service)));
    for (const ListedEndpoint& endpoint : service.endpoints) {
      if (!endpoint.price) continue;
      const std::string units = endpoint.price->units();
      FUZZ_CHECK(units.empty() != (endpoint.price->amount && endpoint.price->decimals));
      FUZZ_CHECK(units.find_first_not_of("0123456789.") == std::string::npos);
    }
  }
}
