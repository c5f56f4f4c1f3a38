// What a user gives to sign and decode: text from an argument, a file or stdin, and the header
// fields in it.
#pragma once

#include <string>

#include "src/http/message.h"

namespace paycurl {

/// The text that `argument` stands for: itself, of a file ("@FILE") or of stdin ("-", or empty when
/// stdin is no terminal), without white space around it. Usage error when there is none, or more
/// than 256 KiB.
Result<std::string> read_given(const std::string& argument);

/// The header fields of `text`: of the head of an answer (behind redirects the last one; a body is
/// ignored), or of lines "Name: value", a request's head too. A text that has neither is the value
/// of one field, `bare_name`, in each of its lines.
http::Head given_head(const std::string& text, const std::string& bare_name);

/// Whether `text` begins with a field's name, or is a whole head: an answer's or a request's.
bool has_field_names(std::string_view text);

}  // namespace paycurl
