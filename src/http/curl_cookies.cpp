#include "src/http/curl_cookies.h"

namespace paycurl::http {

Cookies::Cookies(const Settings& settings) : share_(curl_share_init()), keeper_(curl_easy_init()) {
  curl_share_setopt(share_, CURLSHOPT_SHARE, CURL_LOCK_DATA_COOKIE);
  curl_easy_setopt(keeper_, CURLOPT_SHARE, share_);
  for (const std::string& file : settings.cookie_files) {
    curl_easy_setopt(keeper_, CURLOPT_COOKIEFILE, file.c_str());
  }
  curl_easy_setopt(keeper_, CURLOPT_COOKIELIST, "RELOAD");
  if (!settings.cookie_jar.empty()) {
    curl_easy_setopt(keeper_, CURLOPT_COOKIEJAR, settings.cookie_jar.c_str());
  }
}

Cookies::~Cookies() {
  curl_easy_cleanup(keeper_);  // writes
  curl_share_cleanup(share_);
}

}  // namespace paycurl::http
