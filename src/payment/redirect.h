// What -L makes of a request.
#pragma once

#include "src/http/message.h"

namespace paycurl {

struct RedirectRules {
  bool keeps_method = false;  ///< -X was given: the method does not change
  bool sets_referer = false;  ///< -e ";auto": Referer is the URL that redirected
};

/// The request that follows `head`, a redirect that answered `request` (RFC 9110 section 15.4, and
/// curl where it leaves room): POST becomes GET on 301, 302 and 303 unless
/// the method is kept;
/// Authorization and Cookie do not leave their origin; from a public address it may not lead to a
/// private one.
Result<http::Request> redirected(const http::Request& request, const http::Head& head,
                                 const RedirectRules& rules);

}  // namespace paycurl
