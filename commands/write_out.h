// -w: curl's variables and ours, filled in after an exchange.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "src/base/result.h"
#include "src/payment/flow.h"

namespace paycurl {

/// What -w can talk about.
struct WriteOutFacts {
  const Outcome& outcome;
  std::string url;  ///< as given
  const http::Request& request;
  std::string file;          ///< the body's file, when there is one
  std::size_t number = 0;    ///< of this URL, from 0
  std::vector<Money> total;  ///< paid in this run so far
};

struct WrittenOut {
  std::string to_stdout;
  std::string to_stderr;  ///< what stands behind %{stderr}
  std::string unknown;    ///< the last variable that there is not
};

/// `format` with "%{name}", "%{json}", "%header{name}", "%%" and \n \r \t filled in. An unknown
/// variable is left out; behind "%{onerror}" nothing is written when all went well.
WrittenOut write_out(std::string_view format, const WriteOutFacts& facts);

}  // namespace paycurl
