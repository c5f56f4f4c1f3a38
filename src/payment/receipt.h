// The server's word that it was paid.
#pragma once

#include <string>

#include "src/base/json.h"

namespace paycurl {

struct Receipt {
  std::string method;
  std::string reference;  ///< the rail's name of the payment: a transaction hash, a challenge id
  std::string timestamp;  ///< RFC 3339, as sent
  Json json;              ///< all of it
};

}  // namespace paycurl
