#include "src/methods/lightning/payer.h"

#include <algorithm>

namespace paycurl::lightning {

std::string Commitment::to_text() const {
  Json json = Json::object({{"invoice", invoice}, {"maxFee", most_fee.decimal()}});
  if (!challenge.is_null()) json.set("challenge", challenge).set("topUp", top_up);
  return json.canonical();
}

Result<Commitment> Commitment::parse(const std::string& text) {
  const Error bad{Kind::internal, "the journal does not say what was to be paid"};
  const auto json = Json::parse(text);
  if (!json) return bad;
  auto invoice = json->string_at("invoice");
  const auto fee = json->string_at("maxFee");
  const auto most = fee ? Amount::parse(*fee) : std::nullopt;
  const auto top_up = json->optional_boolean_at("topUp");
  if (!invoice || !most || !top_up) return bad;
  const Json* challenge = json->find("challenge");
  return Commitment{std::move(*invoice), *most, challenge == nullptr ? Json() : *challenge,
                    top_up->value_or(false)};
}

Result<Node*> PayingWallet::node(Spender& spender) {
  const std::string name = spender.payer().account + " " + spender.payer().address;
  if (node_ && connection_ == name) return node_.get();
  if (options_.offline) return Error{Kind::backend, "--offline leaves the wallet unasked"};
  const auto text = spender.connection();
  if (!text) return text.error();
  auto connection = read_connection((*text)->text());
  if (!connection) return connection.error();
  network_ = connection->network.empty() ? spender.payer().network : connection->network;
  connection->longest_wait = std::min(connection->longest_wait, patience());
  auto made = make_node(std::move(*connection), options_.wallet_client, options_.clock);
  if (!made) return made.error();
  node_ = std::move(*made);
  connection_ = name;
  info_.reset();
  return node_.get();
}

Result<const NodeInfo*> PayingWallet::info(Spender& spender) {
  const auto asked = node(spender);
  if (!asked) return asked.error();
  if (!info_) {
    auto told = (*asked)->info();
    if (!told) return told.error();
    info_ = std::move(*told);
  }
  return &*info_;
}

Result<> PayingWallet::check_network(Spender& spender, const std::string& network) {
  if (const auto there = node(spender); !there) return there.error();
  std::string own = network_;
  if (own.empty()) {
    const auto told = info(spender);
    if (!told) return told.error();
    own = (*told)->network;
  }
  if (own.empty() || own == network) return {};
  return Error{Kind::declined, "the invoice is for " + network + ", and the wallet is on " + own,
               "pay with a wallet on " + network + " (-a)", "wrong_network"};
}

Result<Amount> PayingWallet::fee_of(Spender& spender, const Invoice& invoice) {
  const auto asked = node(spender);
  if (!asked) return asked.error();
  const auto fixed = (*asked)->fixed_fee(invoice);
  if (!fixed) return fixed.error();
  if (*fixed) return **fixed;
  return spender.fee_limit({invoice.amount.value_or(Amount()), satoshi(invoice.network)});
}

Result<std::string> PayingWallet::pay(Spender& spender, const Invoice& invoice, Amount most_fee,
                                      Millis until) {
  constexpr Millis kForTheProof = 2'000;
  const auto asked = node(spender);
  if (!asked) return asked.error();
  const Millis left = std::max<Millis>(until - now() - kForTheProof, 1'000);
  const http::Duration limit = std::min(patience(), http::Duration(left));
  return proof_of((*asked)->pay(invoice, most_fee, limit), invoice.payment_hash, &spender);
}

Result<std::string> PayingWallet::find(Spender& spender, const Digest& payment_hash,
                                       http::Duration patience) {
  const auto asked = node(spender);
  if (!asked) {
    Error away = asked.error();
    away.kind = Kind::outcome_unknown;
    return away;
  }
  return proof_of((*asked)->look_up(payment_hash, patience), payment_hash, nullptr);
}

Result<std::string> PayingWallet::session_proof(Spender& spender, const std::string& session) {
  Digest hash{};
  if (auto read = from_hex(session, hash); !read) return read.error();
  auto found = find(spender, hash, patience());
  if (found || !options_.proofs) return found;
  auto kept = options_.proofs->find(session);
  ByteArray<32> preimage{};
  const bool fits = kept && from_hex(*kept, preimage) && sha256(preimage) == hash;
  return fits ? Result<std::string>(std::move(*kept)) : found;
}

Result<std::string> PayingWallet::proof_of(Payment payment, const Digest& payment_hash,
                                           Spender* spender) {
  const std::string why = payment.why ? ": " + payment.why->message : "";
  switch (payment.state) {
    case Payment::State::settled:
      if (spender != nullptr && payment.fee) spender->took_fee(*payment.fee);
      paid_.insert(to_hex(payment_hash));
      return to_hex(payment.preimage.bytes());
    case Payment::State::in_flight:
      return Error{Kind::outcome_unknown, "the payment is still on its way", "", "in_flight"};
    case Payment::State::unknown:
      return Error{Kind::outcome_unknown, "the wallet does not say how the payment ended" + why, "",
                   "backend"};
    case Payment::State::never:
      return Error{Kind::rejected, "the wallet has not paid it", "", "not_paid"};
    case Payment::State::failed:
      break;
  }
  Error failed = payment.why.value_or(Error{Kind::backend, "the wallet could not pay it"});
  if (failed.kind == Kind::outcome_unknown) failed.kind = Kind::backend;
  return failed;
}

}  // namespace paycurl::lightning
