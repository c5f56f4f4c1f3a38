// The "lightning" payment method: BOLT 11 invoices, paid by a wallet of the user's.
//
// The preimage is the proof of payment. It is never written down: the journal has the payment hash,
// by which the wallet finds the preimage again.
#include "src/base/text.h"
#include "src/methods/lightning/payer.h"
#include "src/methods/lightning/session.h"
#include "src/methods/lightning/terms.h"
#include "src/methods/methods.h"

namespace paycurl::lightning {
namespace {

constexpr Millis kLeastValidity = 5'000;  // less, and the proof comes too late
constexpr http::Duration kGlance{2'000};  // at a payment whose end is not waited for

class Lightning : public Method {
 public:
  explicit Lightning(MethodOptions options) : wallet_(std::move(options)), escrow_(wallet_) {}

  std::string_view name() const override { return "lightning"; }
  std::vector<std::string_view> intents() const override { return {"charge", "session"}; }

  std::optional<Refusal> refusal(const Challenge& challenge) const override {
    std::string network;
    Millis until = 0;
    Result<> read;
    if (challenge.intent == "session") {
      const auto terms = read_session(challenge);
      if (!terms) return refused(terms.error());
      network = terms->deposit ? terms->deposit->network : "";
      until = terms->until;
    } else {
      const auto terms = read_charge(challenge);
      if (!terms) return refused(terms.error());
      network = terms->invoice.network;
      until = terms->until;
    }
    if (until < wallet_.now() + challenge.clock_offset + kLeastValidity) {
      return Refusal{"expired", "it or its invoice is over, or is in a moment"};
    }
    if (!network.empty() && !is_wanted(network)) {
      return Refusal{"wrong_network", "its invoice is for " + network};
    }
    return std::nullopt;
  }

  Result<Quote> quote(const Challenge& challenge) override {
    Quote quote;
    if (challenge.intent == "session") return session_quote(challenge);
    const auto terms = read_charge(challenge);
    if (!terms) return terms.error();
    quote.spend = spend_of(*terms);
    return quote;
  }

  Result<Credential> pay(const Challenge& challenge, const Quote& quote,
                         Spender& spender) override {
    const auto terms = read_charge(challenge);
    if (!terms) return terms.error();
    Spend spend = spend_of(*terms);
    if (spend.total.amount != quote.spend.total.amount) {
      return Error{Kind::internal, "the payment is not the one that was quoted"};
    }
    const Invoice& invoice = terms->invoice;
    if (auto right = wallet_.check_network(spender, invoice.network); !right) return right.error();
    const auto fee = wallet_.fee_of(spender, invoice);
    if (!fee) return fee.error();
    spend.fee = {*fee, spend.total.asset};
    spend.payer = spender.payer().address;
    spend.origin = challenge.url.origin();
    spend.attempt = spender.row().id;
    spend.valid_until = local_end(terms->until, challenge.clock_offset);
    const std::string hash = to_hex(invoice.payment_hash);
    // An invoice that comes a second time: whether it was paid then is asked before anything else.
    const auto known = spender.ledger().with_reference(hash);
    if (!known) return known.error();
    // Its preimage proves a payment to that server, or is the key to a session there.
    const bool is_foreign =
        *known && ((*known)->origin != challenge.url.origin() || (*known)->intent != "charge");
    if (is_foreign) {
      return Error{Kind::protocol, "its invoice is one of " + printable((*known)->origin), "",
                   "malformed"};
    }
    auto before = *known ? wallet_.find(spender, invoice.payment_hash, wallet_.patience())
                         : Result<std::string>(Error{Kind::rejected, ""});
    if (before) spend = already_paid(std::move(spend));
    if (!before && before.error().kind == Kind::outcome_unknown) return before.error();
    auto permit = spender.allow(spend);
    if (!permit) return permit.error();
    const Commitment commitment{invoice.text, *fee};
    if (auto committed = spender.commit(std::move(*permit), commitment.to_text(), hash);
        !committed) {
      return committed.error();
    }
    auto preimage =
        before ? std::move(before) : wallet_.pay(spender, invoice, *fee, spend.valid_until);
    if (preimage) return proof(challenge, std::move(*preimage));
    if (preimage.error().kind == Kind::outcome_unknown) return preimage.error();
    if (auto off = spender.call_off(spend.total); !off) return off.error();
    return preimage.error();
  }

  Result<Credential> rebuild(const Challenge& challenge, const Row& row, Spender& spender,
                             bool may_pay) override {
    if (row.intent == "session") {
      return Error{Kind::session, "a session began it, and only a session can finish it"};
    }
    const auto made = Commitment::parse(row.rebuild.value_or(""));
    if (!made) return made.error();
    const auto invoice = read_invoice(made->invoice);
    if (!invoice) return invoice.error();
    auto preimage = wallet_.find(spender, invoice->payment_hash, wallet_.patience());
    const bool untried = !preimage && preimage.error().reason == "not_paid";
    if (untried && may_pay && wallet_.now() < row.valid_until) {
      preimage = wallet_.pay(spender, *invoice, made->most_fee, row.valid_until);
    }
    if (!preimage) return preimage.error();
    return proof(challenge, std::move(*preimage));
  }

  Settlement settle(const Row& row, Spender& spender, http::Client& /*client*/) override {
    const std::string hash = row.reference.value_or("");
    if (auto open = top_up_in_doubt(row, spender)) {
      return {Settlement::State::open, "", std::move(open)};
    }
    if (wallet_.has_paid(hash)) return {Settlement::State::settled, hash, std::nullopt};
    Digest digest{};
    if (auto read = from_hex(hash, digest); !read) {
      return {Settlement::State::open, "", Error{Kind::internal, "not a Lightning payment"}};
    }
    const auto found = wallet_.find(spender, digest, kGlance);
    if (found) {
      Settlement settled{Settlement::State::settled, hash};
      settled.can_prove = row.intent == "charge";
      return settled;
    }
    const bool open = found.error().kind == Kind::outcome_unknown ||
                      (found.error().reason == "not_paid" && wallet_.now() < row.valid_until);
    Settlement settlement{open ? Settlement::State::open : Settlement::State::never, "",
                          found.error()};
    settlement.is_final = !open;  // it is the user's own wallet that says so
    return settlement;
  }

  std::vector<Asset> tokens() const override { return {}; }
  Result<std::vector<Money>> balances(const std::string& /*address*/,
                                      http::Client& /*client*/) override {
    return std::vector<Money>();
  }
  Result<std::vector<std::string>> fund(const std::string& /*address*/,
                                        http::Client& /*client*/) override {
    return Error{Kind::usage, "a Lightning wallet is funded where it is",
                 "send satoshi to it as its own documentation says"};
  }

  Result<std::unique_ptr<Session>> session(const Challenge& challenge, const SessionChoice& choice,
                                           Spender& spender) override {
    return make_session(challenge, choice, wallet_, spender);
  }
  Escrow* escrow() override { return &escrow_; }

  std::string explorer(const Row& /*row*/) const override { return ""; }

 private:
  static Refusal refused(const Error& why) {
    return {why.reason.empty() ? "malformed" : why.reason, why.message};
  }

  /// --network: a name of Lightning's, or "testnet" for every network whose coins are worth
  /// nothing.
  bool is_wanted(const std::string& network) const {
    const auto& wanted = wallet_.options().network;
    if (!wanted || *wanted == network) return true;
    return *wanted == "testnet" && network != "mainnet";
  }

  /// A session's row has the name of its first deposit, but may wait for a later one.
  std::optional<Error> top_up_in_doubt(const Row& row, Spender& spender) {
    const auto made = Commitment::parse(row.rebuild.value_or(""));
    const auto invoice = made ? read_invoice(made->invoice) : Result<Invoice>(made.error());
    if (!invoice) return std::nullopt;
    const std::string hash = to_hex(invoice->payment_hash);
    if (hash == row.reference || wallet_.has_paid(hash)) return std::nullopt;
    const auto found = wallet_.find(spender, invoice->payment_hash, kGlance);
    if (found) return std::nullopt;
    const bool untried = found.error().reason == "not_paid" && wallet_.now() < row.valid_until;
    if (!untried && found.error().kind != Kind::outcome_unknown) return std::nullopt;
    return found.error();
  }

  static Spend spend_of(const ChargeTerms& terms) {
    Spend spend;
    spend.why = Purpose::charge;
    spend.total = {terms.amount, satoshi(terms.invoice.network)};
    spend.fee = {Amount(), spend.total.asset};
    spend.payees = {{terms.payee(), terms.amount}};
    return spend;
  }

  /// The money moved in another run, which counted it.
  static Spend already_paid(Spend spend) {
    spend.why = Purpose::proof;
    spend.total.amount = spend.fee.amount = Amount();
    spend.payees.front().amount = Amount();
    return spend;
  }

  static Credential proof(const Challenge& challenge, std::string preimage) {
    return {challenge, Json::object({{"preimage", preimage}}), "", true, preimage};
  }

  PayingWallet wallet_;
  PrepaidBalance escrow_;
};

}  // namespace

Result<std::unique_ptr<Method>> make_method(const MethodOptions& options,
                                            http::Client& /*client*/) {
  return std::unique_ptr<Method>(std::make_unique<Lightning>(options));
}

}  // namespace paycurl::lightning
