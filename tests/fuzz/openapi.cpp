// Discovery documents: what is accepted can be asked for, and its text can be shown.
#include "src/discovery/openapi.h"

#include "src/base/money.h"
#include "tests/fuzz/fuzz.h"

void paycurl::fuzz_one(std::string_view input) {
  const auto document = discovery::parse_document(input);
  if (!document) return;
  for (const auto& operation : document->operations) {
    FUZZ_CHECK(operation.path.starts_with('/'));
    FUZZ_CHECK(operation.url_path.empty() || operation.url_path.starts_with('/'));
    FUZZ_CHECK(!operation.body || !operation.body->empty());
    for (const auto& offer : operation.offers) {
      FUZZ_CHECK(!offer.method.empty() && !offer.intent.empty());
      FUZZ_CHECK(!offer.amount || Amount::parse(*offer.amount));
    }
  }
}
