// What paying a challenge would cost.
#pragma once

#include <optional>
#include <string>

#include "src/base/spend.h"

namespace paycurl {

struct Quote {
  Spend spend;             ///< payer and attempt still empty
  std::string mode;        ///< the method's word for how it pays: "pull", "push", "proof"
  bool sponsored = false;  ///< the server pays the network fee
  std::string unit;        ///< what a session's price is for: "request", "token"
  std::optional<Money> suggested_deposit;
};

}  // namespace paycurl
