#include "src/http/trust.h"

#include <curl/curl.h>

namespace paycurl::http {

TrustStore default_trust() {
  const curl_version_info_data* about = curl_version_info(CURLVERSION_NOW);
  const auto text = [](const char* from) { return from == nullptr ? std::string() : from; };
  return {text(about->cainfo), text(about->capath)};
}

}  // namespace paycurl::http
