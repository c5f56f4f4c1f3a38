// An open payment channel or prepaid balance, as a conversation around requests.
#pragma once

#include <optional>
#include <string_view>

#include "src/base/result.h"
#include "src/http/message.h"
#include "src/payment/credential.h"
#include "src/payment/problem.h"
#include "src/payment/receipt.h"

namespace paycurl {

class Session {
 public:
  virtual ~Session() = default;
  /// A credential ahead of the 402, when the session has one for this request.
  virtual Result<std::optional<Credential>> before(const http::Request& request) = 0;
  /// A payment event inside a stream (need-voucher, need-topup); the answer to it, when there is
  /// one.
  virtual Result<std::optional<Credential>> event(std::string_view name, std::string_view json) = 0;
  /// The server refused a credential (402, 410); what may be sent instead.
  virtual Result<std::optional<Credential>> refused(const Problem& problem,
                                                    const Challenge& challenge) = 0;
  /// A receipt, and how many units arrived since the last one.
  virtual Result<> received(const Receipt& receipt, std::size_t units) = 0;
  /// Settles and ends the session; `force` does it without the server's help.
  virtual Result<Receipt> close(bool force) = 0;
};

}  // namespace paycurl
