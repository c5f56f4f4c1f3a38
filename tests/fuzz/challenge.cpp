// A whole 402: challenges out of header fields, and a credential for each that is readable.
#include "src/protocols/protocols.h"
#include "tests/fuzz/fuzz.h"

void paycurl::fuzz_one(std::string_view input) {
  static const auto mpp = make_mpp();
  static const http::Url url = *http::parse_url("https://api.example.com/");
  http::Answer answer;
  answer.head.status = 402;
  answer.url = url;
  answer.head.headers.add("www-authenticate", std::string(input));
  for (const auto& challenge : mpp->read(answer)) {
    if (!challenge) continue;
    FUZZ_CHECK(!challenge->id.empty() && challenge->request.members() != nullptr);
    const auto restored = mpp->restore(challenge->echo);
    FUZZ_CHECK(restored.has_value() && restored->id == challenge->id);
    http::Request request;
    request.url = url;
    FUZZ_CHECK(mpp->attach({*challenge, Json::object(), ""}, request).has_value());
    const std::string* field = request.headers.find(challenge->field);
    FUZZ_CHECK(field != nullptr && field->find_first_of("\r\n") == std::string::npos);
  }
}
