// When two requests are the same purchase, and what the journal keeps of one.
#pragma once

#include <string>

#include "src/http/message.h"
#include "src/payment/challenge.h"
#include "wallet/ledger.h"

namespace paycurl {

/// The text that two runs of the same request by the same payer share: method, URL, body and own
/// fields without Authorization, Cookie and what we add. Transport error 26 when the body is
/// unreadable.
Result<std::string> identity_of(const http::Request& request, const std::string& payer);

/// The text that every signing of the same challenge for somebody else's request shares, by the
/// same payer.
std::string identity_of_signing(const Challenge& challenge, const std::string& payer);
/// Whether `row` is such a signing: its credential was handed to somebody else.
bool is_signing(const Row& row);

/// The SHA-256 of a request's body, of nothing when there is none.
Result<Digest> body_digest(const http::Request& request);

/// Whether a challenge's digest, "sha-256=:<base64>:" (RFC 9530 section 2) or without the colons as
/// mppx writes it, is that of `body`.
bool is_digest_of(std::string_view text, const Digest& body);

/// The request for the journal; incomplete when it holds secrets, or a body of more than 1 MiB.
RecordedRequest record_of(const http::Request& request);

/// A recorded request, ready to be sent again.
Result<http::Request> request_of(const Row& row);

}  // namespace paycurl
