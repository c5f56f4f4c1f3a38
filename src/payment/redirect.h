// What -L makes of a request.
#pragma once

#include "src/http/message.h"

namespace paycurl {

/// The request that follows `head`, a redirect that answered `request` (RFC 9110 section 15.4, and
/// curl where it leaves room): POST becomes GET on 301, 302 and 303 unless `keeps_method`;
/// Authorization and Cookie do not leave their origin; from a public address it may not lead to a
/// private one.
Result<http::Request> redirected(const http::Request& request, const http::Head& head,
                                 bool keeps_method);

}  // namespace paycurl
