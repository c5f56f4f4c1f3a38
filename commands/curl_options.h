// The names that curl has for its options: what is known there and not here gets a better message.
#pragma once

#include <string_view>

namespace paycurl {

/// Whether curl 7.88 has an option that is written so: "--name", "--no-name" or "-x".
bool is_curl_option(std::string_view option);

}  // namespace paycurl
