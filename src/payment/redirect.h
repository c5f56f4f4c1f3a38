// What -L makes of a request.
#pragma once

#include "src/http/message.h"

namespace paycurl {

/// Of http, https, ws and wss those that may be asked for; absent: all.
using Schemes = std::optional<std::vector<std::string>>;

struct RedirectRules {
  bool keeps_method = false;  ///< -X was given: the method does not change
  bool keeps_post_301 = false, keeps_post_302 = false, keeps_post_303 = false;
  Schemes schemes;
  bool upload = false;        ///< -T: only 303 takes the body away
  bool sets_referer = false;  ///< -e ";auto": Referer is the URL that redirected
};

/// Whether `url` may be asked for; `option` is what says so.
Result<> check_scheme(const http::Url& url, const Schemes& schemes, const char* option);

/// The request that follows `head`, a redirect that answered `request` (RFC 9110 section 15.4, and
/// curl where it leaves room): what posts becomes GET on 301, 302 and 303 unless the method or the
/// POST is kept, an upload only on 303; Authorization, Cookie and what HTTP Digest needs do not
/// leave their origin; from a public address it may not lead to a private one. A scheme that the
/// rules do not have is a usage error.
Result<http::Request> redirected(const http::Request& request, const http::Head& head,
                                 const RedirectRules& rules);

}  // namespace paycurl
