// What a server or a foreign tool says about payment channels: offers of sessions, snapshots,
// receipts, logs of the chain, session files of the npm CLI, and our own descriptors.
#include "src/methods/tempo/session.h"

#include "src/methods/tempo/closing.h"
#include "tests/client.h"
#include "tests/fuzz/fuzz.h"

namespace paycurl {
namespace {

void check_descriptor(const tempo::Descriptor& descriptor) {
  const auto again = tempo::Descriptor::parse(descriptor.to_text());
  FUZZ_CHECK(again.has_value() && *again == descriptor);
}

}  // namespace

void fuzz_one(std::string_view input) {
  static test::NoClient client;
  static const auto networks = *tempo::Networks::make({}, client);
  static const Address payer = *Address::parse("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
  if (const auto descriptor = tempo::Descriptor::parse(input)) check_descriptor(*descriptor);
  const auto json = Json::parse(input);
  if (!json) return;
  Challenge challenge;
  challenge.intent = "session";
  challenge.request = *json;
  if (const auto terms = tempo::read_session(challenge, networks)) {
    FUZZ_CHECK(!terms->amount.is_zero());
    FUZZ_CHECK(tempo::is_known_escrow(terms->version, terms->chain, terms->escrow));
    FUZZ_CHECK(tempo::step_of(*terms, networks) >= terms->amount);
  }
  if (const auto snapshot = tempo::read_snapshot(*json, payer)) {
    FUZZ_CHECK(snapshot->spent <= snapshot->accepted && snapshot->accepted <= snapshot->deposit);
    FUZZ_CHECK(snapshot->descriptor.payer == payer);
    check_descriptor(snapshot->descriptor);
  }
  if (const auto opened = tempo::read_opened(*json, tempo::Version::v2, 42431)) {
    check_descriptor(opened->descriptor);
  }
  if (const auto channel = tempo::channel_of_mppx(*json, networks)) {
    FUZZ_CHECK(channel->spent <= channel->signed_amount);
  }
  Channel channel;
  channel.id = "0x00";
  channel.signed_amount = 1000;
  if (take_numbers({"tempo", "", "", *json}, channel)) {
    FUZZ_CHECK(channel.spent <= channel.accepted && channel.accepted <= channel.signed_amount);
  }
}

}  // namespace paycurl
