// The "tempo" payment method: TIP-20 stablecoins on the Tempo chains.
//
// A charge needs no round trip to a node: nonce, gas, fee and validity are known in advance.
#include <algorithm>
#include <cstring>

#include "src/base/text.h"
#include "src/crypto/random.h"
#include "src/methods/methods.h"
#include "src/methods/tempo/chain.h"
#include "src/methods/tempo/charge.h"
#include "src/methods/tempo/node.h"
#include "src/methods/tempo/settlement.h"

namespace paycurl::tempo {
namespace {

constexpr std::uint64_t kGwei = 1'000'000'000;
// Above the base fee of every hard fork: 20 gwei at first, at most 12 since TIP-1067. Three
// transfers to new accounts then reserve less than the default --max-fee of 0.02.
constexpr std::uint64_t kMaxFee = 22 * kGwei;
constexpr std::uint64_t kPriorityFee = 1 * kGwei;
constexpr std::uint64_t kBaseGas = 80'000;  // signature, fee and one transfer to a known account
constexpr std::uint64_t kGasPerTransfer = 260'000;  // a first transfer to an account (TIP-1000)
constexpr std::uint64_t kSponsoredGas = 2'000'000;  // the most that sponsors accept
constexpr std::int64_t kValidity = 25;              // seconds; the chain refuses more than 30
constexpr std::int64_t kLeastValidity = 5;          // less, and it is too late when it gets there
constexpr Millis kProofValidity = 300'000;

/// The fee in base units of a token with 6 decimals, rounded up (calc_gas_balance_spending).
Amount fee_of(std::uint64_t gas) {
  const auto [whole, rest] = Amount(gas).times(kMaxFee)->divided_by(1'000'000'000'000);
  return rest == 0 ? whole : *whole.plus(1);
}

std::string source_of(std::uint64_t chain, const std::string& payer) {
  return "did:pkh:eip155:" + std::to_string(chain) + ":" + payer;
}

/// When a time of the server's is over by our clock, whichever of the two is right.
Millis local_end(Millis server_time, Millis clock_offset) {
  return std::max(server_time, server_time - clock_offset);
}

/// A random second of the past: two transactions that are alike otherwise get different hashes.
std::uint64_t random_past(std::uint64_t now) {
  std::uint64_t random = 0;
  const auto bytes = random_array<8>();
  std::memcpy(&random, bytes.data(), sizeof random);
  return 1 + random % (now - 61);
}

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
};

class Tempo : public Method {
 public:
  Tempo(MethodOptions options, std::vector<std::uint64_t> chains, std::optional<Address> fee_token,
        http::Client& client)
      : options_(std::move(options)),
        chains_(std::move(chains)),
        fee_token_(fee_token),
        client_(client) {}

  std::string_view name() const override { return "tempo"; }
  std::vector<std::string_view> intents() const override { return {"charge"}; }

  std::optional<Refusal> refusal(const Challenge& challenge) const override {
    const auto terms = read(challenge);
    if (!terms) {
      return Refusal{terms.error().reason.empty() ? "malformed" : terms.error().reason,
                     terms.error().message};
    }
    if (challenge.expires && *challenge.expires < server_now(challenge) + kLeastValidity * 1000) {
      return Refusal{"expired", "it expires in less than " + std::to_string(kLeastValidity) + " s"};
    }
    return std::nullopt;
  }

  Result<Quote> quote(const Challenge& challenge) override {
    auto terms = read(challenge);
    if (!terms) return terms.error();
    Quote quote;
    quote.spend = spend_of(*terms);
    quote.sponsored = terms->charge.fee_payer;
    quote.mode = terms->charge.amount.is_zero() ? "proof" : terms->push ? "push" : "pull";
    return quote;
  }

  Result<Credential> pay(const Challenge& challenge, const Quote& quote,
                         Spender& spender) override {
    auto terms = read(challenge);
    if (!terms) return terms.error();
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

  Result<Credential> rebuild(const Challenge& challenge, const Row& row,
                             Spender& spender) override {
    const auto terms = read(challenge);
    const auto made = Rebuild::parse(row);
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

  Settlement settle(const Row& row, http::Client& client) override {
    const auto chain = chain_of(row.paid.asset.network);
    if (!chain) return {Settlement::State::open, "", Error{Kind::internal, "not a Tempo payment"}};
    auto asked = node(client, *chain);
    if (!asked) return {Settlement::State::open, "", asked.error()};
    return look_up(row, asked->rpc(), options_.clock());
  }

  std::vector<Asset> tokens() const override {
    std::vector<Asset> all;
    for (const std::uint64_t chain : chains_) {
      const auto there = tokens_on(chain);
      all.insert(all.end(), there.begin(), there.end());
    }
    return all;
  }

  Result<std::vector<Money>> balances(const std::string& address, http::Client& client) override {
    const auto payer = Address::parse(address);
    if (!payer) return payer.error();
    std::vector<Money> found;
    std::optional<Error> failure;
    for (const std::uint64_t chain : chains_) {
      auto there = [&]() -> Result<std::vector<Money>> {
        auto asked = node(client, chain);
        if (!asked) return asked.error();
        return asked->balances(*payer, tokens_on(chain));
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
    const std::uint64_t chain = chains_.size() == 1 ? chains_.front() : kTestnet;
    if (chain == kMainnet) {
      return Error{Kind::usage, "there is no faucet on the main network",
                   "send a dollar token of Tempo to " + address};
    }
    auto asked = node(client, chain);
    if (!asked) return asked.error();
    return asked->fund(address);
  }

  Result<std::unique_ptr<Session>> session(const Challenge& /*challenge*/, Spender& /*spender*/,
                                           http::Client& /*client*/) override {
    return Error{Kind::unsupported, "this paycurl does not open Tempo sessions", "",
                 "unknown_intent"};
  }

  std::string explorer(const Row& row) const override {
    const auto chain = chain_of(row.paid.asset.network);
    if (!chain || !row.reference || !row.reference->starts_with("0x")) return "";
    return explorer_page(*chain, *row.reference);
  }

 private:
  Millis server_now(const Challenge& challenge) const {
    return options_.clock() + challenge.clock_offset;
  }

  Result<Node> node(http::Client& client, std::uint64_t chain) const {
    if (options_.offline) return Error{Kind::backend, "--offline leaves the chain unasked"};
    const auto own = options_.rpc_url ? options_.rpc_url(chain) : std::nullopt;
    if (own) return Node(client, *own, chain);
    const std::string known = public_rpc(chain);
    if (!known.empty()) return Node(client, known, chain);
    return Error{Kind::backend, "no node is known for chain " + std::to_string(chain),
                 "give one with --rpc-url or PAYCURL_RPC_URL"};
  }

  std::optional<Asset> asset_of(std::uint64_t chain, const Address& token, bool& known) const {
    if (auto found = known_token(chain, token)) return found;
    for (Asset named : options_.tokens) {
      if (!equals_ignoring_case(named.token, token.lower_hex())) continue;
      known = false;
      named.network = network_name(chain);
      named.is_test = chain != kMainnet;
      return named;
    }
    return std::nullopt;
  }

  /// Everything a challenge decides, or the reason why it cannot be paid.
  Result<Terms> read(const Challenge& challenge) const {
    auto charge = parse_charge(challenge.request);
    if (!charge) return Error{Kind::protocol, charge.error().message, "", "malformed"};
    Terms terms;
    terms.charge = std::move(*charge);
    // Without a chain the main one is meant, unless the user chose.
    terms.chain = terms.charge.chain.value_or(options_.network ? chains_.front() : kMainnet);
    if (std::find(chains_.begin(), chains_.end(), terms.chain) == chains_.end()) {
      return Error{Kind::unsupported, "it wants a payment on chain " + std::to_string(terms.chain),
                   "name the chain with --network", "wrong_network"};
    }
    const auto asset = asset_of(terms.chain, terms.charge.currency, terms.known_asset);
    if (!asset) {
      return Error{Kind::unsupported,
                   "the token " + terms.charge.currency.checksummed() + " is unknown",
                   "name it with --token ADDRESS:DECIMALS", "unknown_token"};
    }
    terms.asset = *asset;
    terms.fee_asset = *asset;
    if (fee_token_) {
      bool known = true;
      const auto fee_asset = asset_of(terms.chain, *fee_token_, known);
      if (!fee_asset) {
        return Error{Kind::unsupported,
                     "the fee token " + fee_token_->checksummed() + " is unknown",
                     "name it with --token ADDRESS:DECIMALS", "unknown_token"};
      }
      terms.fee_asset = *fee_asset;
    }
    if (terms.charge.amount.is_zero()) return terms;
    terms.push = options_.push.value_or(!terms.charge.allows_pull);
    const bool allowed =
        terms.push ? terms.charge.allows_push && !terms.charge.fee_payer : terms.charge.allows_pull;
    if (!allowed) {
      return Error{
          Kind::unsupported,
          std::string("the server does not take a ") + (terms.push ? "push" : "pull") + " payment",
          "leave --push and --pull out", "excluded"};
    }
    if (terms.push && options_.offline) {
      return Error{Kind::unsupported, "a push payment needs a node", "leave --offline out",
                   "excluded"};
    }
    terms.memo = terms.charge.memo.value_or(attribution_memo(challenge.realm, "", challenge.id));
    terms.transfers = transfers_of(terms.charge, terms.memo);
    terms.gas = kBaseGas + kGasPerTransfer * terms.transfers.size();
    if (terms.charge.fee_payer) terms.gas = std::min(terms.gas, kSponsoredGas);
    return terms;
  }

  static Spend spend_of(const Terms& terms) {
    Spend spend;
    spend.why = terms.charge.amount.is_zero() ? Purpose::proof : Purpose::charge;
    spend.total = {Amount(), terms.asset};
    spend.fee = {terms.charge.fee_payer ? Amount() : fee_of(terms.gas), terms.fee_asset};
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
    const Millis now = options_.clock();
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
    const auto now = static_cast<std::uint64_t>(server_now(challenge) / 1000);
    Transaction transaction;
    transaction.chain = terms.chain;
    transaction.priority_fee = kPriorityFee;
    transaction.max_fee = kMaxFee;
    transaction.gas = terms.gas;
    for (const Transfer& transfer : terms.transfers) {
      transaction.calls.push_back(transfer_call(terms.charge.currency, transfer));
    }
    transaction.nonce_key = expiring_nonce_key();
    transaction.valid_before = now + kValidity;
    if (challenge.expires) {
      transaction.valid_before =
          std::min(transaction.valid_before, static_cast<std::uint64_t>(*challenge.expires / 1000));
    }
    transaction.valid_after = random_past(now);
    transaction.fee_token = fee_token_.value_or(terms.charge.currency);
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
      auto ready = node(client_, terms.chain);
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
    auto chain = node(client_, terms.chain);
    if (!chain) return chain.error();
    auto sent = chain->broadcast(signed_bytes, *spender.row().reference);
    if (!sent) return sent.error();
    return credential(challenge, terms, spend.payer, type, *spender.row().reference);
  }

  std::vector<Asset> tokens_on(std::uint64_t chain) const {
    std::vector<Asset> tokens = known_tokens(chain);
    for (Asset named : options_.tokens) {
      named.network = network_name(chain);
      named.is_test = chain != kMainnet;
      tokens.push_back(named);
    }
    return tokens;
  }

  MethodOptions options_;
  std::vector<std::uint64_t> chains_;  // that may be paid on; never empty
  std::optional<Address> fee_token_;
  http::Client& client_;
};

Result<std::vector<std::uint64_t>> allowed_chains(const std::optional<std::string>& network) {
  if (!network) return std::vector<std::uint64_t>{kMainnet, kTestnet};
  if (*network == "mainnet") return std::vector<std::uint64_t>{kMainnet};
  if (*network == "testnet") return std::vector<std::uint64_t>{kTestnet};
  const auto chain = chain_of("tempo:" + *network);
  if (chain && *chain != 0) return std::vector<std::uint64_t>{*chain};
  return Error{Kind::usage, "not a network: " + printable(*network, 40),
               "write mainnet, testnet or a chain id"};
}

}  // namespace

Result<std::unique_ptr<Method>> make_method(const MethodOptions& options, http::Client& client) {
  auto chains = allowed_chains(options.network);
  if (!chains) return chains.error();
  std::optional<Address> fee_token;
  for (const auto& [key, value] : options.own) {
    const auto address = Address::parse(value);
    if (key != "fee-token" || !address) {
      return Error{
          Kind::usage,
          "not an option of a payment method: " + printable(key, 40) + "=" + printable(value, 60),
          "tempo knows -M fee-token=0xADDRESS"};
    }
    fee_token = *address;
  }
  return std::unique_ptr<Method>(
      std::make_unique<Tempo>(options, std::move(*chains), fee_token, client));
}

}  // namespace paycurl::tempo
