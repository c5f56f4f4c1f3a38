// Which of the offers is paid, and why the others are not.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "src/payment/method.h"
#include "wallet/policy.h"

namespace paycurl {

/// What the user wants. Empty members want anything.
struct Preference {
  std::vector<std::string> methods;
  std::string intent;
  std::string protocol;               ///< a wire protocol's name
  std::string currency;               ///< a token's address or symbol
  std::optional<std::size_t> number;  ///< of this answer's offers, from 1
  bool allow_http = false;
  bool sessions = true;
  bool only_sessions = false;  ///< for a WebSocket, which nothing else pays for
  bool only_charges = false;   ///< for a credential that somebody else hands in
};

/// One offer of an answer, examined.
struct Offer {
  std::size_t number = 0;
  std::string protocol;                ///< whose words it is in
  std::optional<Challenge> challenge;  ///< nullopt when it is malformed
  Method* method = nullptr;            ///< who would pay it
  std::optional<Quote> quote;
  std::optional<Refusal> refusal;  ///< why it cannot be paid at all
  std::optional<Error> declined;   ///< why the limits or expectations say no
  std::optional<Error> risen;      ///< it costs more than the last time, by more than is allowed

  bool payable() const { return !refusal; }
};

/// How the answer with the challenges reached us.
struct Arrival {
  bool plain_http = false;      ///< no TLS
  bool unverified_tls = false;  ///< -k
  bool loopback = false;        ///< straight from this machine, not through a proxy
};

/// What offers are examined against.
struct Terms {
  const Preference& preference;
  const Limits& limits;
  Spent spent;
  Arrival arrival;
  std::optional<Digest> body;  ///< SHA-256 of our request body, when an offer is bound to one
  Millis now = 0;
  bool foreign_body = false;  ///< somebody else makes the request: its body is theirs to know
};

/// What a protocol read, and its name.
using ReadChallenge = std::pair<std::string, Result<Challenge>>;

/// Examines every offer. Never fails: what is wrong is said in its place.
std::vector<Offer> examine(std::vector<ReadChallenge> challenges,
                           const std::vector<Method*>& methods, const Terms& terms);

/// The first offer that is payable and within the limits, in the server's order; one with an
/// account comes before others. Otherwise the error that says why not: 102 when a limit or the
/// transport's safety is in the way, 101 when we cannot, 104 when the offers are broken or expired.
using HasAccount = std::function<Result<bool>(const std::string& method)>;
Result<const Offer*> choose(const std::vector<Offer>& offers, const HasAccount& has_account = {});

}  // namespace paycurl
