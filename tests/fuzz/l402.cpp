// A 402 with L402 challenges, and what the lightning method makes of all offers.
#include "src/methods/lightning/terms.h"
#include "src/protocols/protocols.h"
#include "tests/fuzz/fuzz.h"

void paycurl::fuzz_one(std::string_view input) {
  static const auto l402 = make_l402();
  static const http::Url url = *http::parse_url("https://api.example.com/");
  http::Answer answer;
  answer.head.status = 402;
  answer.url = url;
  answer.head.headers.add("www-authenticate", std::string(input));
  for (const auto& challenge : l402->read(answer)) {
    if (!challenge) continue;
    const auto restored = l402->restore(challenge->echo);
    FUZZ_CHECK(restored.has_value() && restored->id == challenge->id);
    if (const auto terms = lightning::read_charge(*challenge)) {
      FUZZ_CHECK(!terms->amount.is_zero() && terms->invoice.amount == terms->amount);
    }
    http::Request request;
    request.url = url;
    const std::string preimage(64, '0');
    const Credential credential{*challenge, Json::object({{"preimage", preimage}}), ""};
    FUZZ_CHECK(l402->attach(credential, request).has_value());
    const std::string* field = request.headers.find("Authorization");
    FUZZ_CHECK(field != nullptr && field->find_first_of("\r\n") == std::string::npos);
    FUZZ_CHECK(field->ends_with(":" + preimage));
  }
  // The same bytes as the request of an MPP challenge.
  const auto json = Json::parse(input);
  if (!json || json->members() == nullptr) return;
  Challenge challenge;
  challenge.protocol = "mpp";
  challenge.request = *json;
  if (const auto charge = lightning::read_charge(challenge)) {
    const auto sats = Amount::parse(*json->string_at("amount"));
    FUZZ_CHECK(sats->times(1000) == charge->amount);
  }
  if (const auto session = lightning::read_session(challenge)) {
    FUZZ_CHECK(!session->price.is_zero());
    FUZZ_CHECK(!session->deposit || *session->deposit->amount >= session->price);
  }
}
