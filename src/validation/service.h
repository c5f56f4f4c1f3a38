// The checks of what a service publishes: its discovery document and /llms.txt.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "src/validation/endpoint.h"

namespace paycurl::validation {

/// A discovery document that was found.
struct Published {
  discovery::Document document;
  std::string base;  ///< what its paths are behind: "https://api.example.com/v2", without a slash
};

/// Checks "discovery.*" for the service at `url`, whose document is beside it, at its origin or in
/// /api there. `request` is what each request is like. A transport error when the server cannot be
/// reached; nothing when there is no document that can be read.
Result<std::optional<Published>> check_discovery(Prober& prober, const http::Request& request,
                                                 Report& report);

/// The check of each rule for a document: `discover` and `validate` say the same.
void check_document(const discovery::Document& document, Report& report);

}  // namespace paycurl::validation
