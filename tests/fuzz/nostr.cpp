// Nostr Wallet Connect: what a relay sends, what a wallet answers, what is encrypted. The input is
// each of them as it stands, and the content of an event that is signed.
#include "src/methods/lightning/nodes/nostr.h"

#include "src/base/text.h"
#include "src/methods/lightning/nodes/nip44.h"
#include "src/methods/lightning/nodes/nwc_answer.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace paycurl;
using namespace paycurl::lightning;
using State = Payment::State;

const PrivateKey& key() {
  static const PrivateKey made = *PrivateKey::from_bytes(Bytes(32, 1));
  return made;
}

/// A message that is read says what it is about; its event is signed and is read again as the same.
void check_message(std::string_view input) {
  const auto message = read_relay_message(input);
  if (!message || message->what != RelayMessage::What::event) return;
  FUZZ_CHECK(message->event);
  FUZZ_CHECK(verify_schnorr(message->event->id, message->event->signature, message->event->author));
  const auto again = read_event(message->event->json());
  FUZZ_CHECK(again && again->json().dump() == message->event->json().dump());
}

void check_event(std::string_view input) {
  NostrEvent event;
  event.content = std::string(input);
  event.tags = {{"e", std::string(input.substr(0, 64))}};
  event = signed_event(std::move(event), key());
  const auto read = read_event(event.json());
  if (!read) return;  // a control character, or no UTF-8
  FUZZ_CHECK(read->content == event.content && read->tags == event.tags);
}

void check_answer(std::string_view input) {
  const auto answer = read_wallet_answer(input, "lookup_invoice");
  if (!answer) return;
  FUZZ_CHECK(answer->refused() || answer->result.members() != nullptr);
  // Only a preimage proves a payment: this hash is the SHA-256 of 32 bytes 01.
  const Digest hash = sha256(Bytes(32, 1));
  const Payment payment = read_payment(*answer, hash);
  FUZZ_CHECK((payment.state == State::settled) == !payment.preimage.empty());
  if (payment.state == State::settled) FUZZ_CHECK(sha256(payment.preimage.bytes()) == hash);
  FUZZ_CHECK(payment.state != State::unknown || payment.why);
  if (const auto received = read_received(*answer); received && *received) {
    FUZZ_CHECK(!answer->refused());
  }
  for (const std::string& text : {answer->as_error().message, answer->as_no_invoices().message}) {
    FUZZ_CHECK(printable(text, 2000) == text);
  }
  const NodeInfo info = read_info(answer->result, input);
  FUZZ_CHECK(info.network.size() <= 7);
}

void check_payload(std::string_view input) {
  static const Secret shared = *conversation_key(key(), key().x_only_key());
  if (const auto text = decrypt_nip44(shared, input)) {
    FUZZ_CHECK(encrypt_nip44(shared, {}, *text).has_value());
  }
  (void)decrypt_nip04(shared, input);
  if (input.empty() || input.size() > 65'535) return;
  FUZZ_CHECK(*decrypt_nip44(shared, *encrypt_nip44(shared, {1}, input)) == input);
  FUZZ_CHECK(*decrypt_nip04(shared, encrypt_nip04(shared, {1}, input)) == input);
}

}  // namespace

void paycurl::fuzz_one(std::string_view input) {
  check_message(input);
  check_event(input);
  check_answer(input);
  check_payload(input);
}
