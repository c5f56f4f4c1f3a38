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

/// `format` with "%{name}", "%{header_json}", "%header{name}", "%%" and \n \r \t filled in. An
/// unknown variable is left out and named in `unknown`.
std::string write_out(std::string_view format, const WriteOutFacts& facts, std::string& unknown);

}  // namespace paycurl
