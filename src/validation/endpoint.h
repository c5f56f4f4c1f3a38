// The checks of one endpoint: its challenges, and how it refuses what is no payment. Nothing here
// pays.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "src/discovery/openapi.h"
#include "src/http/client.h"
#include "src/payment/method.h"
#include "src/payment/protocol.h"
#include "src/validation/check.h"

namespace paycurl::validation {

/// What is asked, and what is known of it before.
struct Endpoint {
  std::string name;  ///< "GET /v1/x"
  http::Request request;
  std::string spare_body;  ///< JSON to ask with when the server wants a body; may be empty
  std::vector<discovery::Offer> offers;  ///< of the discovery document
};

/// Sends requests until a signal comes; what is asked afterwards fails at once.
class Prober {
 public:
  explicit Prober(http::Client& client) : client_(client) {}
  /// The answer with the first `limit` bytes of its body. Redirects are answers.
  Result<http::Answer> ask(http::Request request, std::size_t limit = 64UL << 10);
  const std::optional<Error>& interruption() const { return interruption_; }

 private:
  http::Client& client_;
  std::optional<Error> interruption_;
};

/// An endpoint that asked for payment.
struct Asked {
  http::Request request;  ///< that was answered so, with the spare body where that was needed
  std::vector<std::optional<Challenge>> challenges;  ///< of the Payment scheme; nullopt: broken
  bool has_fresh_ids = true;                         ///< each answer had other ids
};

struct Probe {
  Prober& prober;
  const Protocol& protocol;             ///< "mpp"
  const std::vector<Method*>& methods;  ///< that say what they think of an offer
  Clock clock;
};

/// Checks "challenge.*" and "request.*". Nothing comes back when the endpoint asked for no payment.
/// A transport error only when the server could not be reached at all.
Result<std::optional<Asked>> check_challenges(const Probe& probe, const Endpoint& endpoint,
                                              Report& report);

/// "GET /v1/x #2 tempo/session" where there are more offers than one.
std::string offer_name(const std::string& endpoint, std::size_t number, std::size_t count,
                       const Challenge& challenge);

/// The checks "request.*" of one challenge. Offline.
void check_terms(const Challenge& challenge, const std::vector<Method*>& methods, Report& report);

/// Checks "error.*": what is sent is no payment.
void check_errors(const Probe& probe, const Asked& asked, Report& report);

/// Whether a Cache-Control field of the answer has the directive.
bool has_directive(const http::Head& head, std::string_view directive);

}  // namespace paycurl::validation
