// A wire protocol: how challenges, credentials and receipts are written.
//
// Adding one is a file in src/protocols and a line in the table of src/protocols/protocols.cpp.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "src/base/result.h"
#include "src/http/message.h"
#include "src/payment/credential.h"
#include "src/payment/receipt.h"

namespace paycurl {

class Protocol {
 public:
  virtual ~Protocol() = default;
  virtual std::string_view name() const = 0;  ///< "mpp"
  /// Whether an answer that was paid for carries a receipt.
  virtual bool has_receipts() const { return true; }
  /// Whether a credential is good for more than one request.
  virtual bool is_reusable() const { return false; }
  /// Whether an answer with this head asks for payment, so that its body is kept for `read`.
  virtual bool wants_body(const http::Head& head) const = 0;
  /// The challenges of an answer, in its order; a malformed one is an error in its place.
  virtual std::vector<Result<Challenge>> read(const http::Answer& answer) const = 0;
  /// A challenge from its echo, as the journal keeps it.
  virtual Result<Challenge> restore(const Json& echo) const = 0;
  /// Puts the credential into a request. The request must be for the origin of the challenge.
  virtual Result<> attach(const Credential& credential, http::Request& request) const = 0;
  /// A receipt as an event of a stream or a frame carries it.
  virtual Result<Receipt> read_receipt(Json json) const = 0;
  /// The receipt of an answer; nothing when there is none, an error when it is not one.
  virtual Result<std::optional<Receipt>> receipt(const http::Head& head) const = 0;
};

}  // namespace paycurl
