// A line of --input. What is accepted makes one request and no other: its fields have no line ends,
// its body is what stands there, and its key is fit to be sent.
#include "commands/request_lines.h"
#include "src/base/json.h"
#include "src/http/message.h"
#include "tests/fuzz/fuzz.h"

void paycurl::fuzz_one(std::string_view input) {
  const auto line = parse_request_line(input);
  if (!line) {
    FUZZ_CHECK(line.error().kind == Kind::usage && !line.error().message.empty());
    return;
  }
  for (const std::string& header : line->headers) {
    FUZZ_CHECK(!header.starts_with('@') && http::parse_header_line(header).has_value());
    FUZZ_CHECK(!http::parse_header_line(header)->removes);
  }
  FUZZ_CHECK(line->method.empty() || http::is_token(line->method));
  FUZZ_CHECK(line->once.empty() || check_once_key(line->once).has_value());
  if (!line->is_json) return;
  const auto body = Json::parse(*line->body, LineReader::kMaxLine);
  FUZZ_CHECK(body.has_value());
  FUZZ_CHECK(body->dump() == Json::parse(input, LineReader::kMaxLine)->find("json")->dump());
}
