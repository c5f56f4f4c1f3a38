// The "tempo" payment method: TIP-20 stablecoins on the Tempo chains.
//
// A charge needs no round trip to a node: nonce, gas, fee and validity are known in advance.
#include <algorithm>

#include "src/base/text.h"
#include "src/methods/methods.h"
#include "src/methods/tempo/chain.h"
#include "src/methods/tempo/charge.h"
#include "src/methods/tempo/closing.h"
#include "src/methods/tempo/networks.h"
#include "src/methods/tempo/session.h"
#include "src/methods/tempo/settlement.h"
#include "src/methods/tempo/swap.h"

namespace paycurl::tempo {
namespace {

constexpr std::uint64_t kBaseGas = 80'000;  // signature, fee and one transfer to a known account
constexpr std::uint64_t kGasPerTransfer = 260'000;  // a first transfer to an account (TIP-1000)
constexpr std::uint64_t kSponsoredGas = 2'000'000;  // the most that sponsors accept
constexpr std::int64_t kLeastValidity = 5;          // less, and it is too late when it gets there
constexpr Millis kProofValidity = 300'000;

/// What a charge comes to on its chain, with the assets we vouch for.
struct Terms {
  Charge charge;
  std::uint64_t chain = 0;
  Asset asset;
  bool known_asset = true;
  Asset fee_asset;
  bool push = false;
  Memo memo{};
  std::vector<Transfer> transfers;
  std::uint64_t gas = 0;
  Amount max_fee = usual_max_fee();  // per gas
  std::optional<Money> swap;         // at most that much of another token for the whole amount
  Address given;                     // the token that leaves the payer
};

class Tempo : public Method, public Escrow {
 public:
  explicit Tempo(Networks networks) : networks_(std::move(networks)) {}

  std::string_view name() const override { return "tempo"; }
  std::vector<std::string_view> intents() const override { return {"charge", "session"}; }

  std::optional<Refusal> refusal(const Challenge& challenge) const override {
    const auto readable =
        challenge.intent == "session" ? check_session(challenge) : without_value(read(challenge));
    if (!readable) {
      return Refusal{readable.error().reason.empty() ? "malformed" : readable.error().reason,
                     readable.error().message};
    }
    if (challenge.expires &&
        *challenge.expires < networks_.server_now(challenge) + kLeastValidity * 1000) {
      return Refusal{"expired", "it expires in less than " + std::to_string(kLeastValidity) + " s"};
    }
    return std::nullopt;
  }

  Result<Quote> quote(const Challenge& challenge) override {
    Quote quote;
    if (challenge.intent == "session") {
      const auto session = read_session(challenge, networks_);
      if (!session) return session.error();
      quote.spend = price_of(*session);
      quote.sponsored = session->sponsored;
      quote.mode = "pull";
      quote.unit = session->unit;
      if (session->suggested_deposit) {
        quote.suggested_deposit = Money{*session->suggested_deposit, session->asset};
      }
      return quote;
    }
    auto terms = read(challenge);
    if (!terms) return terms.error();
    quote.spend = spend_of(*terms);
    quote.sponsored = terms->charge.fee_payer;
    quote.mode = terms->charge.amount.is_zero() ? "proof" : terms->push ? "push" : "pull";
    return quote;
  }

  Result<> prepare(const Challenge& challenge, Quote& quote, const std::string& payer,
                   const Limits& limits) override {
    if (networks_.options().swap_from.empty() || challenge.intent == "session") return {};
    auto terms = read(challenge);
    if (!terms) return terms.error();
    const auto address = Address::parse(payer);
    if (!address) return address.error();
    if (terms->charge.amount.is_zero()) return {};
    const auto from = networks_.swap_tokens(terms->chain, terms->asset);
    if (from.empty()) return {};
    auto node = networks_.node(terms->chain);
    if (!node) return node.error();
    const Spend plain = spend_of(*terms);
    Terms swapping = *terms;
    if (auto added = add_swap(swapping, {Amount(), from.front()}, limits); !added) return added;
    const bool fee_in_token = !networks_.own("fee-token");
    const auto swap =
        find_swap(*node, *address,
                  {plain.total, plain.fee.amount, fee_in_token, spend_of(swapping).fee.amount, from,
                   networks_.options().slippage});
    if (!swap) return swap.error();
    if (!*swap) return {};
    if (auto added = add_swap(*terms, (*swap)->most, limits); !added) return added;
    // A bid that --max-fee keeps too low would be a payment that never comes: say what it needs.
    terms->max_fee = std::max(terms->max_fee, (*swap)->bid_at_least);
    quote.spend = spend_of(*terms);
    return {};
  }

  Result<Credential> pay(const Challenge& challenge, const Quote& quote,
                         Spender& spender) override {
    auto terms = read(challenge);
    if (!terms) return terms.error();
    if (quote.spend.swap) {
      auto added = add_swap(*terms, *quote.spend.swap, spender.limits());
      if (!added) return added.error();
    }
    const auto payer = Address::parse(spender.payer().address);
    if (!payer) return payer.error();
    Spend spend = spend_of(*terms);
    if (spend.total.amount != quote.spend.total.amount ||
        spend.total.asset != quote.spend.total.asset) {
      return Error{Kind::internal, "the payment is not the one that was quoted"};
    }
    spend.payer = spender.payer().address;
    spend.origin = challenge.url.origin();
    spend.attempt = spender.row().id;
    if (terms->charge.amount.is_zero()) {
      return prove(challenge, *terms, *payer, std::move(spend), spender);
    }
    return transfer(challenge, *terms, *payer, std::move(spend), spender);
  }

  Result<Credential> rebuild(const Challenge& challenge, const Row& row, Spender& spender,
                             bool /*may_pay*/) override {
    const auto terms = read(challenge);
    const auto made = Rebuild::parse(row);
    if (networks_.now() >= row.valid_until) return Error{Kind::rejected, ""};
    if (!terms) return terms.error();
    if (!made) return made.error();
    const auto payer = Address::parse(row.payer);
    if (!payer) return payer.error();
    if (made->type == "hash") {
      return credential(challenge, *terms, row.payer, "hash", *row.reference);
    }
    const Digest digest = made->type == "proof"
                              ? proof_digest(terms->chain, *payer, challenge.id, challenge.realm)
                              : keccak256(made->preimage);
    const auto signature = spender.sign_again(row, digest);
    if (!signature) return signature.error();
    if (made->type == "proof") {
      return credential(challenge, *terms, row.payer, "proof", to_0x(signature->bytes()));
    }
    const auto bytes = complete(made->preimage, *payer, *signature);
    if (!bytes) return bytes.error();
    return credential(challenge, *terms, row.payer, "transaction", to_0x(*bytes));
  }

  Settlement settle(const Row& row, Spender& /*spender*/, http::Client& client) override {
    const auto chain = chain_of(row.paid.asset.network);
    if (!chain) return {Settlement::State::open, "", Error{Kind::internal, "not a Tempo payment"}};
    auto asked = networks_.node(*chain, client);
    if (!asked) return {Settlement::State::open, "", asked.error()};
    if (row.intent == "session") return look_up_session(row, *asked, networks_.now());
    return look_up(row, asked->rpc(), networks_.now());
  }

  std::vector<Asset> tokens() const override {
    std::vector<Asset> all;
    for (const std::uint64_t chain : networks_.chains()) {
      const auto there = networks_.tokens_on(chain);
      all.insert(all.end(), there.begin(), there.end());
    }
    return all;
  }

  Result<std::vector<Money>> balances(const std::string& address, http::Client& client) override {
    const auto payer = Address::parse(address);
    if (!payer) return payer.error();
    std::vector<Money> found;
    std::optional<Error> failure;
    for (const std::uint64_t chain : networks_.chains()) {
      auto there = [&]() -> Result<std::vector<Money>> {
        auto asked = networks_.node(chain, client);
        if (!asked) return asked.error();
        return asked->balances(*payer, networks_.tokens_on(chain));
      }();
      if (there) {
        found.insert(found.end(), there->begin(), there->end());
      } else {
        failure = there.error();
      }
    }
    if (found.empty() && failure) return *failure;
    return found;
  }

  Result<std::vector<std::string>> fund(const std::string& address, http::Client& client) override {
    const std::uint64_t chain =
        networks_.chains().size() == 1 ? networks_.chains().front() : kTestnet;
    if (chain == kMainnet) {
      return Error{Kind::usage, "there is no faucet on the main network",
                   "send a dollar token of Tempo to " + address};
    }
    auto asked = networks_.node(chain, client);
    if (!asked) return asked.error();
    return asked->fund(address);
  }

  Result<std::unique_ptr<Session>> session(const Challenge& challenge, const SessionChoice& choice,
                                           Spender& spender) override {
    auto terms = read_session(challenge, networks_);
    if (!terms) return terms.error();
    return make_session(std::move(*terms), challenge, choice, networks_, spender);
  }

  Escrow* escrow() override { return this; }

  Result<Credential> close(const Channel& channel, const Challenge& challenge,
                           Spender& spender) override {
    return close_credential(channel, challenge, spender);
  }

  Result<Credential> ask(const Channel& channel, const Challenge& challenge,
                         Spender& spender) override {
    return same_voucher(channel, challenge, spender);
  }

  Result<std::string> scope(const Challenge& challenge, const std::string& payer) override {
    const auto terms = read_session(challenge, networks_);
    const auto address = Address::parse(payer);
    if (!terms) return terms.error();
    if (!address) return address.error();
    return scope_of(*address, *terms);
  }

  Result<Ending> ended(Channel& channel, const http::Answer& /*answer*/,
                       const std::optional<Receipt>& receipt, Spender& /*spender*/) override {
    return ending_of(channel, receipt);
  }

  Result<std::vector<Facts>> look_at(const std::vector<Channel>& channels,
                                     const SpenderOf& /*spender_of*/,
                                     http::Client& client) override {
    return look_at_channels(channels, networks_, client);
  }

  Result<std::string> leave(const Channel& channel, bool withdraw, Spender& spender,
                            http::Client& client) override {
    return leave_channel(channel, withdraw, networks_, spender, client);
  }

  Result<std::vector<Channel>> orphans(const std::string& payer, http::Client& client) override {
    const auto address = Address::parse(payer);
    if (!address) return address.error();
    return channels_on_chain(*address, networks_, client);
  }

  Result<Channel> from_mppx(const Json& file) override { return channel_of_mppx(file, networks_); }

  std::string explorer(const Row& row) const override {
    const auto chain = chain_of(row.paid.asset.network);
    const bool is_transaction =
        row.intent == "charge" && row.reference && row.reference->starts_with("0x");
    if (!chain || !is_transaction) return "";
    return explorer_page(*chain, *row.reference);
  }

 private:
  static Result<> without_value(const Result<Terms>& terms) {
    return terms ? Result<>() : Result<>(terms.error());
  }

  Result<> check_session(const Challenge& challenge) const {
    const auto session = read_session(challenge, networks_);
    return session ? Result<>() : Result<>(session.error());
  }

  /// Everything a challenge decides, or the reason why it cannot be paid.
  Result<Terms> read(const Challenge& challenge) const {
    auto charge = parse_charge(challenge.request);
    if (!charge) return Error{Kind::protocol, charge.error().message, "", "malformed"};
    Terms terms;
    terms.charge = std::move(*charge);
    const auto chain = networks_.chain_of_offer(terms.charge.chain);
    if (!chain) return chain.error();
    terms.chain = *chain;
    const auto token = networks_.token(terms.chain, terms.charge.currency);
    if (!token) return token.error();
    terms.asset = token->asset;
    terms.given = terms.charge.currency;
    terms.known_asset = token->known;
    const auto fee_token = networks_.token(terms.chain, networks_.fee_token(terms.charge.currency));
    if (!fee_token) {
      return Error{Kind::unsupported, "of the fee: " + fee_token.error().message,
                   fee_token.error().hint, "unknown_token"};
    }
    terms.fee_asset = fee_token->asset;
    if (terms.charge.amount.is_zero()) return terms;
    terms.push = networks_.options().push.value_or(!terms.charge.allows_pull);
    const bool allowed =
        terms.push ? terms.charge.allows_push && !terms.charge.fee_payer : terms.charge.allows_pull;
    if (!allowed) {
      return Error{
          Kind::unsupported,
          std::string("the server does not take a ") + (terms.push ? "push" : "pull") + " payment",
          "leave --push and --pull out", "excluded"};
    }
    if (terms.push && networks_.options().offline) {
      return Error{Kind::unsupported, "a push payment needs a node", "leave --offline out",
                   "excluded"};
    }
    terms.memo = terms.charge.memo.value_or(attribution_memo(challenge.realm, "", challenge.id));
    terms.transfers = transfers_of(terms.charge, terms.memo);
    terms.gas = gas_of(terms);
    return terms;
  }

  static std::uint64_t gas_of(const Terms& terms) {
    const std::uint64_t swap = terms.swap ? kSwapGas : 0;
    const std::uint64_t gas = kBaseGas + kGasPerTransfer * terms.transfers.size() + swap;
    return terms.charge.fee_payer ? std::min(gas, kSponsoredGas) : gas;
  }

  /// The transaction that swaps first is paid for in the token that is swapped.
  Result<> add_swap(Terms& terms, const Money& swap, const Limits& limits) const {
    const auto from = Address::parse(swap.asset.token);
    if (!from) return from.error();
    const auto fee_token = networks_.token(terms.chain, networks_.fee_token(*from));
    if (!fee_token) return fee_token.error();
    terms.swap = swap;
    terms.given = *from;
    terms.fee_asset = fee_token->asset;
    terms.gas = gas_of(terms);
    if (!terms.charge.fee_payer) {
      terms.max_fee = affordable_max_fee(terms.gas, fee_limit({Amount(), terms.fee_asset}, limits));
    }
    return {};
  }

  static Spend spend_of(const Terms& terms) {
    Spend spend;
    spend.why = terms.charge.amount.is_zero() ? Purpose::proof : Purpose::charge;
    spend.total = {Amount(), terms.asset};
    spend.fee = {terms.charge.fee_payer ? Amount() : most_fee(terms.gas, terms.max_fee),
                 terms.fee_asset};
    spend.swap = terms.swap;
    for (const Transfer& transfer : terms.transfers) {
      spend.payees.push_back({transfer.to.checksummed(), transfer.amount});
      spend.total.amount = spend.total.amount.plus(transfer.amount).value_or(terms.charge.amount);
    }
    if (spend.payees.empty()) {
      spend.payees.push_back({terms.charge.recipient.checksummed(), Amount()});
    }
    spend.known_asset = terms.known_asset;
    return spend;
  }

  static Credential credential(const Challenge& challenge, const Terms& terms,
                               const std::string& payer, const std::string& type,
                               const std::string& value) {
    const char* member = type == "hash" ? "hash" : "signature";
    return {challenge, Json::object({{"type", type}, {member, value}}),
            source_of(terms.chain, payer), type == "hash"};
  }

  Result<Credential> prove(const Challenge& challenge, const Terms& terms, const Address& payer,
                           Spend spend, Spender& spender) const {
    const Millis now = networks_.now();
    spend.valid_until = challenge.expires ? local_end(*challenge.expires, challenge.clock_offset)
                                          : now + kProofValidity;
    auto permit = spender.allow(spend);
    if (!permit) return permit.error();
    const Digest digest = proof_digest(terms.chain, payer, challenge.id, challenge.realm);
    const auto signature =
        spender.sign(std::move(*permit), digest, Rebuild{"proof", {}, ""}.to_text(), nullptr);
    if (!signature) return signature.error();
    return credential(challenge, terms, spend.payer, "proof", to_0x(signature->bytes()));
  }

  Transaction transaction_of(const Challenge& challenge, const Terms& terms) const {
    std::vector<Call> calls;
    if (terms.swap) {
      calls =
          swap_calls(terms.given, terms.charge.currency, terms.charge.amount, terms.swap->amount);
    }
    for (const Transfer& transfer : terms.transfers) {
      calls.push_back(transfer_call(terms.charge.currency, transfer));
    }
    Transaction transaction =
        expiring_transaction(terms.chain, std::move(calls), terms.gas,
                             networks_.server_now(challenge), challenge.expires);
    transaction.max_fee = terms.max_fee;
    transaction.fee_token = networks_.fee_token(terms.given);
    transaction.sponsored = terms.charge.fee_payer;
    return transaction;
  }

  Result<Credential> transfer(const Challenge& challenge, const Terms& terms, const Address& payer,
                              Spend spend, Spender& spender) {
    const Transaction transaction = transaction_of(challenge, terms);
    const Bytes preimage = signing_preimage(transaction);
    spend.valid_until =
        local_end(static_cast<Millis>(transaction.valid_before) * 1000, challenge.clock_offset);
    if (terms.push) {  // the node is ours to know: when it is away, nothing is signed
      auto ready = networks_.node(terms.chain);
      if (!ready) return ready.error();
      if (auto right = ready->check(); !right) return right.error();
    }
    auto permit = spender.allow(spend);
    if (!permit) return permit.error();
    Bytes signed_bytes;
    const auto reference = [&](const Signature& made) -> std::optional<std::string> {
      auto whole = complete(preimage, payer, made);
      if (whole) signed_bytes = std::move(*whole);
      if (transaction.sponsored) return std::nullopt;  // the sponsor's signature changes the hash
      return to_0x(keccak256(signed_bytes));
    };
    const std::string type = terms.push ? "hash" : "transaction";
    const auto signature =
        spender.sign(std::move(*permit), keccak256(preimage),
                     Rebuild{type, preimage, to_0x(terms.memo)}.to_text(), reference);
    if (!signature) return signature.error();
    if (!terms.push) return credential(challenge, terms, spend.payer, type, to_0x(signed_bytes));
    auto chain = networks_.node(terms.chain);
    if (!chain) return chain.error();
    auto sent = chain->broadcast(signed_bytes, *spender.row().reference);
    if (!sent) return sent.error();
    return credential(challenge, terms, spend.payer, type, *spender.row().reference);
  }

  Networks networks_;
};

}  // namespace

Result<std::unique_ptr<Method>> make_method(const MethodOptions& options, http::Client& client) {
  auto networks = Networks::make(options, client);
  if (!networks) return networks.error();
  return std::unique_ptr<Method>(std::make_unique<Tempo>(std::move(*networks)));
}

}  // namespace paycurl::tempo
