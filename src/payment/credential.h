// The proof of payment that goes back to the server.
#pragma once

#include "src/payment/challenge.h"

namespace paycurl {

/// A secret until the server has it: whoever holds it can present it. Never printed.
struct Credential {
  Challenge challenge;
  Json payload;         ///< the method's own part
  std::string source;   ///< who paid, as a DID; may be empty
  bool moved = false;   ///< the money has moved already: this only proves it
  std::string proof{};  ///< of `payload`, what must not be shown where the server repeats it
};

}  // namespace paycurl
