// Nostr Wallet Connect (NIP-47): requests of kind 23194 to the wallet, its answers of kind 23195,
// both encrypted, over a relay.
//
// The protocol has no limit for routing fees, and no fee that is known before: what a connection
// may spend is the wallet's budget for it. `pay` cannot keep `most_fee`, and `fixed_fee` has no
// answer.
#include <algorithm>

#include "src/base/text.h"
#include "src/crypto/random.h"
#include "src/methods/lightning/node.h"
#include "src/methods/lightning/nodes/nip44.h"
#include "src/methods/lightning/nodes/nwc_answer.h"
#include "src/methods/lightning/nodes/relay.h"

namespace paycurl::lightning {
namespace {

using std::chrono::steady_clock;
using State = Payment::State;

constexpr std::int64_t kInfo = 13194;
constexpr std::int64_t kRequest = 23194;
constexpr std::int64_t kResponse = 23195;
constexpr http::Duration kPatience{20'000};  // for answers that cost the wallet nothing, at most
constexpr http::Duration kLookUpReserve{10'000};  // of the time to pay, at most
constexpr http::Duration kFirstPause{100};        // between two looks at a payment in flight
constexpr http::Duration kLongestPause{5'000};

struct Keys {
  PrivateKey ours;
  XOnlyKey wallet;
  Secret shared;  ///< NIP-44's conversation key, or NIP-04's x
  bool nip04;
};

class Nwc : public Node {
 public:
  Nwc(Keys keys, Relays relays, Clock clock, http::Duration longest_wait)
      : keys_(std::move(keys)),
        relays_(std::move(relays)),
        clock_(std::move(clock)),
        patience_(std::clamp(longest_wait, http::Duration(1'000), kPatience)) {}

  Result<NodeInfo> info() override;
  Result<Amount> balance() override;
  Result<std::optional<Amount>> fixed_fee(const Invoice&) override {
    return std::optional<Amount>();
  }
  Payment pay(const Invoice& invoice, Amount most_fee, http::Duration patience) override;
  Payment look_up(const Digest& payment_hash, http::Duration patience) override;
  Result<std::string> make_invoice(const std::string& description,
                                   std::chrono::seconds lifetime) override;
  Result<std::optional<Received>> received(const Digest& payment_hash) override;

 private:
  struct Outcome {
    bool published = false;
    Result<WalletAnswer> answer;
  };

  Outcome ask(const char* method, Json params, http::Duration patience);
  Result<WalletAnswer> ask_lightly(const char* method, Json params);
  Result<std::string> encrypted(std::string_view text) const;
  Result<std::string> decrypted(std::string_view payload) const;
  Result<std::string> advertised();
  Payment judge(const WalletAnswer& answer, const Invoice& invoice, http::Duration left);

  Keys keys_;
  Relays relays_;
  Clock clock_;
  http::Duration patience_;  // for answers that cost the wallet nothing
};

Result<std::string> Nwc::encrypted(std::string_view text) const {
  if (keys_.nip04) return encrypt_nip04(keys_.shared, random_array<16>(), text);
  return encrypt_nip44(keys_.shared, random_array<32>(), text);
}

Result<std::string> Nwc::decrypted(std::string_view payload) const {
  return keys_.nip04 ? decrypt_nip04(keys_.shared, payload) : decrypt_nip44(keys_.shared, payload);
}

/// One request. The wallet ignores it once the time to answer is over.
Nwc::Outcome Nwc::ask(const char* method, Json params, http::Duration patience) {
  const auto until = steady_clock::now() + patience;
  auto content =
      encrypted(Json::object({{"method", method}, {"params", std::move(params)}}).dump());
  if (!content) return {false, content.error()};
  const std::string wallet = to_hex(keys_.wallet);
  NostrEvent request;
  request.kind = kRequest;
  request.created = clock_() / 1000;
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(patience).count();
  request.tags = {{"p", wallet}, {"expiration", std::to_string(request.created + seconds)}};
  if (!keys_.nip04) request.tags.push_back({"encryption", "nip44_v2"});
  request.content = std::move(*content);
  request = signed_event(std::move(request), keys_.ours);

  const std::string id = to_hex(request.id);
  const Json filter = Json::object({{"kinds", Json::array().push(kResponse)},
                                    {"authors", Json::array().push(wallet)},
                                    {"#e", Json::array().push(id)}});
  const auto outcome = relays_.ask(
      request, filter,
      [&](const NostrEvent& event) {
        return event.kind == kResponse && event.author == keys_.wallet && event.has_tag("e", id);
      },
      until);
  if (!outcome.answer) return {outcome.published, outcome.answer.error()};
  auto text = decrypted(outcome.answer->content);
  if (!text) return {true, text.error()};
  std::string& plain = *text;
  auto answer = read_wallet_answer(plain, method);
  wipe(plain.data(), plain.size());
  return {true, std::move(answer)};
}

/// A request that moves nothing; the wallet's refusal is an error.
Result<WalletAnswer> Nwc::ask_lightly(const char* method, Json params) {
  auto outcome = ask(method, std::move(params), patience_);
  if (!outcome.answer) return outcome.answer.error();
  if (outcome.answer->refused()) return outcome.answer->as_error();
  return std::move(outcome.answer);
}

/// The methods that the wallet's info event names; empty when it has none. An encryption that is
/// not ours is an error.
Result<std::string> Nwc::advertised() {
  const std::string wallet = to_hex(keys_.wallet);
  const Json filter =
      Json::object({{"kinds", Json::array().push(kInfo)}, {"authors", Json::array().push(wallet)}});
  auto event = relays_.find(
      filter,
      [&](const NostrEvent& stored) {
        return stored.kind == kInfo && stored.author == keys_.wallet;
      },
      steady_clock::now() + patience_);
  if (!event) return event.error();
  if (!*event) return std::string();
  const std::string* spoken = (*event)->tag("encryption");
  if (!keys_.nip04 && !has_word(spoken == nullptr ? "nip04" : *spoken, "nip44_v2")) {
    return Error{Kind::backend, "the wallet knows no newer encryption than NIP-04",
                 "add &encryption=nip04 to the connection to use it all the same", "encryption"};
  }
  return (*event)->content;
}

Result<NodeInfo> Nwc::info() {
  auto methods = advertised();
  if (!methods) return methods.error();
  auto outcome = ask("get_info", Json::object(), patience_);
  if (!outcome.answer) return outcome.answer.error();
  const WalletAnswer& answer = *outcome.answer;
  if (!answer.refused()) return read_info(answer.result, *methods);
  // Who may pay need not be allowed to ask this.
  const bool only_this = answer.code == "RESTRICTED" || answer.code == "NOT_IMPLEMENTED";
  if (only_this && !methods->empty()) return read_info(Json::object(), *methods);
  return answer.as_error();
}

Result<Amount> Nwc::balance() {
  const auto answer = ask_lightly("get_balance", Json::object());
  if (!answer) return answer.error();
  const auto balance = answer->result.optional_integer_at("balance");
  if (!balance || !*balance || **balance < 0) {
    return Error{Kind::protocol, "the wallet tells no balance"};
  }
  return Amount(static_cast<std::uint64_t>(**balance));
}

Payment Nwc::pay(const Invoice& invoice, Amount /*most_fee*/, http::Duration patience) {
  const auto until = steady_clock::now() + patience;
  const auto reserve = std::min(kLookUpReserve, patience / 4);
  const auto outcome =
      ask("pay_invoice", Json::object({{"invoice", invoice.text}}), patience - reserve);
  const auto left = std::chrono::duration_cast<http::Duration>(until - steady_clock::now());
  if (outcome.answer) return judge(*outcome.answer, invoice, left);

  Payment payment;
  payment.why = outcome.answer.error();
  if (!outcome.published) {
    payment.state = State::failed;
    return payment;
  }
  const bool stopped =
      payment.why->kind == Kind::interrupted || payment.why->kind == Kind::terminated;
  if (stopped) return payment;
  Payment found = look_up(invoice.payment_hash, left);
  // What the wallet does not know yet it may still begin.
  if (found.state == State::never || found.state == State::unknown) return payment;
  return found;
}

/// What an answer to pay_invoice means.
Payment Nwc::judge(const WalletAnswer& answer, const Invoice& invoice, http::Duration left) {
  if (!answer.refused()) {
    const auto preimage = answer.result.optional_string_at("preimage");
    return settled_with(preimage ? preimage->value_or("") : "", invoice.payment_hash,
                        fee_in(answer.result));
  }
  Payment refused;
  refused.state = State::failed;
  refused.why = answer.as_error();
  if (answer.is_final()) return refused;
  // A payment that failed may be one that takes too long, and an error that has no meaning of its
  // own may say that it was paid before.
  Payment found = look_up(invoice.payment_hash, left);
  switch (found.state) {
    case State::failed:
      return refused;
    case State::never:
      if (answer.says_paid()) refused.state = State::unknown;
      return refused;
    case State::unknown:
      // The wallet's word is all that there is when it looks nothing up.
      if (answer.code != "PAYMENT_FAILED" || !found.why || found.why->reason != kNoLookUp) {
        refused.state = State::unknown;
      }
      return refused;
    case State::in_flight:
    case State::settled:
      break;
  }
  return found;
}

Payment Nwc::look_up(const Digest& payment_hash, http::Duration patience) {
  const auto until = steady_clock::now() + patience;
  http::Duration pause = kFirstPause;
  while (true) {
    const auto time = std::chrono::duration_cast<http::Duration>(until - steady_clock::now());
    const auto outcome =
        ask("lookup_invoice", Json::object({{"payment_hash", to_hex(payment_hash)}}),
            std::clamp(time, http::Duration(1'000), patience_));
    if (!outcome.answer) {
      Payment payment;
      payment.why = outcome.answer.error();
      return payment;
    }
    Payment payment = read_payment(*outcome.answer, payment_hash);
    if (payment.state != State::in_flight || steady_clock::now() + pause >= until) return payment;
    if (auto rested = relays_.rest(pause); !rested) {
      payment.why = rested.error();
      return payment;
    }
    pause = std::min(pause * 2, kLongestPause);
  }
}

Result<std::string> Nwc::make_invoice(const std::string& description,
                                      std::chrono::seconds lifetime) {
  const auto outcome = ask("make_invoice",
                           Json::object({{"amount", 0},
                                         {"description", description},
                                         {"expiry", std::int64_t{lifetime.count()}}}),
                           patience_);
  if (!outcome.answer) return outcome.answer.error();
  if (outcome.answer->refused()) return outcome.answer->as_no_invoices();
  return outcome.answer->result.string_at("invoice");
}

Result<std::optional<Received>> Nwc::received(const Digest& payment_hash) {
  auto outcome =
      ask("lookup_invoice", Json::object({{"payment_hash", to_hex(payment_hash)}}), patience_);
  if (!outcome.answer) return outcome.answer.error();
  return read_received(*outcome.answer);
}

}  // namespace

Result<std::unique_ptr<Node>> make_nwc(Connection connection, const ClientFor& client_for,
                                       Clock clock) {
  auto ours = PrivateKey::from_bytes(connection.secret.bytes());
  if (!ours) return Error{Kind::account, "the connection's secret is no key"};
  auto shared = connection.nip04 ? ours->shared_x(connection.wallet)
                                 : conversation_key(*ours, connection.wallet);
  if (!shared) return Error{Kind::account, "the connection's wallet is no key"};
  return std::unique_ptr<Node>(std::make_unique<Nwc>(
      Keys{std::move(*ours), connection.wallet, std::move(*shared), connection.nip04},
      Relays(client_for(connection.ca_pem), std::move(connection.relays)), std::move(clock),
      connection.longest_wait));
}

}  // namespace paycurl::lightning
