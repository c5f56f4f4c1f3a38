// How one server is reached and recognised, where its URL does not say it. Belongs to the requests
// that the user asked for: nodes and wallets are asked without it.
#pragma once

#include <string>
#include <vector>

#include "src/base/secret.h"

namespace paycurl::http {

struct Reach {
  // Who we are to it
  std::string certificate, certificate_type;  ///< of TLS: a file; PEM (also when empty), DER, P12
  std::string key, key_type;                  ///< empty: in the certificate's file
  Secret password;                            ///< of the key
  bool netrc = false;                         ///< a user and password for its host from there
  std::string netrc_file;                     ///< empty: ~/.netrc
  bool digest = false;  ///< users are told by HTTP Digest (RFC 7616), not Basic

  // What it must be
  std::string pinned_key;          ///< a file, or "sha256//" and base64, joined with ";"
  std::string min_tls, max_tls;    ///< "1", "1.0" ... "1.3"; empty: the library's
  std::string ciphers, ciphers13;  ///< the library's names; the second for TLS 1.3

  // The way to it
  std::string unix_socket;              ///< not empty: this socket, whatever the URL's host
  bool abstract_socket = false;         ///< a name of Linux' abstract namespace, no path
  std::vector<std::string> connect_to;  ///< "HOST1:PORT1:HOST2:PORT2"
};

}  // namespace paycurl::http
