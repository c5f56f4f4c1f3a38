// Discovery documents: OpenAPI 3.x with prices (draft-payment-discovery-00).
//
// What a document says is advice; the 402 of the operation is what counts.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/json.h"

namespace paycurl::discovery {

constexpr std::size_t kMaxDocument = 10UL << 20;

/// Which rule of the draft an issue is about.
enum class Rule {
  structure,     ///< "Required Top-Level Fields"
  service_info,  ///< "Service Extension: x-service-info"
  payment_info,  ///< "Payment Extension: x-payment-info"
  response_402,  ///< "402 Response Declaration"
  input_schema,  ///< "Input Schema": advice, not an error
};

struct Issue {
  Rule rule;
  std::string path;  ///< where: "paths./v1/x.get.responses"
  std::string message;

  bool is_error() const { return rule != Rule::input_schema; }
};

/// A Payment Offer Object.
struct Offer {
  std::string method, intent;
  std::optional<std::string> amount;  ///< in base units; nothing: it depends on the request
  std::optional<std::string> currency;
};

/// An operation that says it has to be paid for.
struct Operation {
  std::string method;         ///< "GET"
  std::string path;           ///< as the document writes it: "/v1/users/{id}"
  std::string url_path;       ///< with the examples of its parameters; empty when one has none
  std::vector<Offer> offers;  ///< empty: it declares a 402 response and no prices
  std::optional<std::string> body;  ///< a JSON body, made of the document's examples and schema
};

struct Document {
  std::string title, version;
  std::vector<Issue> issues;
  std::vector<Operation> operations;  ///< those with prices; when there are none, those with a 402
};

/// Reads a document of at most kMaxDocument bytes. Kind::protocol when it is no JSON object; what
/// else is wrong is in `issues`.
Result<Document> parse_document(std::string_view text);

}  // namespace paycurl::discovery
