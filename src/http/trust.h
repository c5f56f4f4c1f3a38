// What TLS servers are held against when nobody says otherwise.
#pragma once

#include <string>

namespace paycurl::http {

/// Where the library looks for certificates: a file of them, a folder, or neither.
struct TrustStore {
  std::string file, folder;
};
TrustStore default_trust();

}  // namespace paycurl::http
