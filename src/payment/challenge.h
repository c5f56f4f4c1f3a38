// What a server asks for: one way to pay, as a protocol read it from an answer.
#pragma once

#include <algorithm>
#include <optional>
#include <string>

#include "src/base/clock.h"
#include "src/base/json.h"
#include "src/http/url.h"

namespace paycurl {

struct Challenge {
  std::string protocol;  ///< "mpp"
  std::string id, realm, method, intent;
  Json request;  ///< the method's own part, decoded
  std::optional<Millis> expires;
  std::optional<std::string> digest;    ///< "sha-256=..." of the request body it is bound to
  std::string description;              ///< for people; never relied on
  std::string field = "Authorization";  ///< the header field that takes the credential
  Json echo;                ///< the parameters that a credential gives back, as they were received
  http::Url url;            ///< who asked: a credential goes to this origin and no other
  Millis clock_offset = 0;  ///< the server's clock minus ours
};

/// When a time of the server's is over by our clock, whichever of the two is right.
inline Millis local_end(Millis server_time, Millis clock_offset) {
  return std::max(server_time, server_time - clock_offset);
}

}  // namespace paycurl
