// multipart/form-data bodies (RFC 7578), written by us so that their bytes are known beforehand: a
// challenge may be bound to their digest.
#pragma once

#include <string>
#include <vector>

#include "src/http/body.h"

namespace paycurl::http {

/// Builds a form part by part, as curl's -F does.
class Multipart {
 public:
  Multipart();

  /// "name=content", "name=@file" or "name=<file", each with ";type=" and ";filename=" behind it.
  /// Usage error when it is not of that form, transport error 26 when a file cannot be read.
  Result<> add(const std::string& field);
  /// "name=content" and nothing else (--form-string).
  Result<> add_string(const std::string& field);

  /// The whole body. Its boundary is made from what is in it: the same form has the same bytes when
  /// the command is run again, by which a payment in doubt is found. Errors as Body::sha256.
  Result<Body> finish();
  /// Behind `finish`.
  std::string content_type() const { return "multipart/form-data; boundary=" + boundary_; }

 private:
  void start_part(const std::string& name, const std::string& file_name, const std::string& type);

  std::string boundary_;
  Body body_;
};

}  // namespace paycurl::http
