// The cookies that the exchanges of a client share: libcurl's own engine.
#pragma once

#include <curl/curl.h>

#include "src/http/client.h"

namespace paycurl::http {

class Cookies {
 public:
  /// Reads the files that `settings` names: Netscape's format or Set-Cookie lines, "-" is standard
  /// input; what cannot be read is left out, as in curl.
  explicit Cookies(const Settings& settings);
  /// Writes the jar, if there is one to write.
  ~Cookies();
  Cookies(const Cookies&) = delete;
  Cookies& operator=(const Cookies&) = delete;

  CURLSH* share() const { return share_; }

 private:
  CURLSH* share_;
  CURL* keeper_;  // reads and writes, never runs
};

}  // namespace paycurl::http
