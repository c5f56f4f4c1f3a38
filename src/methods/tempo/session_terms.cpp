// Reading what a server says about sessions: offers and snapshots.
#include <algorithm>

#include "src/base/text.h"
#include "src/methods/tempo/chain.h"
#include "src/methods/tempo/session.h"

namespace paycurl::tempo {
namespace {

constexpr std::uint64_t kLeastUnitsAhead = 10;
constexpr const char* kLeastStep = "0.01";

Error bad(const std::string& why) {
  return {Kind::protocol, "the session is malformed: " + why, "", "malformed"};
}

/// v2 counts in 96 bits, v1 in 128.
bool fits(Version version, Amount amount) {
  const auto bytes = amount.big_endian();
  return std::all_of(bytes.begin(), bytes.begin() + (version == Version::v1 ? 16 : 20),
                     [](auto byte) { return byte == 0; });
}

Result<Amount> amount_at(const Json& json, std::string_view key) {
  const auto text = json.string_at(key);
  if (!text) return bad(text.error().message);
  const auto amount = Amount::parse(*text);
  if (!amount) return bad("its " + std::string(key) + " is no whole number of base units");
  return *amount;
}

Result<std::optional<Amount>> optional_amount_at(const Json& json, std::string_view key) {
  const Json* found = json.find(key);
  if (found == nullptr || found->is_null()) return std::optional<Amount>();
  const auto amount = amount_at(json, key);
  if (!amount) return amount.error();
  return std::optional(*amount);
}

Result<std::optional<Address>> optional_address_at(const Json& json, std::string_view key) {
  const auto text = json.optional_string_at(key);
  if (!text) return bad(text.error().message);
  if (!*text) return std::optional<Address>();
  const auto address = Address::parse(**text);
  if (!address) return bad("its " + std::string(key) + " is " + address.error().message);
  return std::optional(*address);
}

Result<Address> address_at(const Json& json, std::string_view key) {
  const auto address = optional_address_at(json, key);
  if (!address) return address.error();
  if (!*address) return bad("it has no " + std::string(key));
  return **address;
}

Result<Version> version_of(const Json& details) {
  const auto text = details.optional_string_at("sessionProtocol");
  if (!text) return bad(text.error().message);
  if (!*text || **text == "v1") return Version::v1;
  if (**text == "v2") return Version::v2;
  return Error{Kind::unsupported, "the session protocol " + printable(**text, 20) + " is unknown",
               "", "unknown_intent"};
}

Result<> read_details(const Json& details, SessionTerms& terms) {
  const auto version = version_of(details);
  if (!version) return version.error();
  terms.version = *version;
  const auto escrow = address_at(details, "escrowContract");
  const auto operator_address = optional_address_at(details, "operator");
  const auto fee_payer = details.optional_boolean_at("feePayer");
  const auto least = optional_amount_at(details, "minVoucherDelta");
  if (!escrow) return escrow.error();
  if (!operator_address) return operator_address.error();
  if (!fee_payer) return bad(fee_payer.error().message);
  if (!least) return least.error();
  terms.escrow = *escrow;
  terms.operator_ = operator_address->value_or(Address());
  terms.sponsored = fee_payer->value_or(false);
  terms.least_step = least->value_or(Amount());
  if (const Json* snapshot = details.find("sessionSnapshot")) terms.snapshot = *snapshot;
  return {};
}

/// What the networks decide: chain, tokens, whether the escrow is to be trusted.
Result<> place(const Json& details, const Networks& networks, SessionTerms& terms) {
  const auto chain_id = details.optional_integer_at("chainId");
  if (!chain_id || (*chain_id && **chain_id <= 0)) return bad("its chainId is no positive number");
  const auto named = *chain_id ? std::optional(static_cast<std::uint64_t>(**chain_id))
                               : std::optional<std::uint64_t>();
  const auto chain = networks.chain_of_offer(named);
  if (!chain) return chain.error();
  terms.chain = *chain;
  const auto token = networks.token(terms.chain, terms.currency);
  if (!token) return token.error();
  terms.asset = token->asset;
  terms.known_asset = token->known;
  const auto named_fee_token = optional_address_at(details, "feeToken");
  if (!named_fee_token) return named_fee_token.error();
  terms.fee_token = networks.fee_token(named_fee_token->value_or(terms.currency));
  const auto fee_token = networks.token(terms.chain, terms.fee_token);
  if (!fee_token && !terms.sponsored) return fee_token.error();
  terms.fee_asset = fee_token ? fee_token->asset : terms.asset;
  const auto own_escrow = networks.own("allow-escrow");
  const bool allowed = own_escrow && *Address::parse(*own_escrow) == terms.escrow;
  if (!allowed && !is_known_escrow(terms.version, terms.chain, terms.escrow)) {
    return Error{Kind::unsupported,
                 "the escrow " + terms.escrow.checksummed() + " is unknown, and could keep it all",
                 "-M allow-escrow=" + terms.escrow.checksummed() + " trusts it", "excluded"};
  }
  return {};
}

}  // namespace

Result<SessionTerms> read_session(const Challenge& challenge, const Networks& networks) {
  const Json& request = challenge.request;
  const Json* details = request.find("methodDetails");
  if (details == nullptr || details->members() == nullptr) return bad("it has no methodDetails");
  SessionTerms terms;
  if (auto read = read_details(*details, terms); !read) return read.error();
  const auto amount = amount_at(request, "amount");
  const auto unit = request.optional_string_at("unitType");
  const auto currency = address_at(request, "currency");
  const auto recipient = address_at(request, "recipient");
  const auto deposit = optional_amount_at(request, "suggestedDeposit");
  if (!amount) return amount.error();
  if (!unit) return bad(unit.error().message);
  if (!currency) return currency.error();
  if (!recipient) return recipient.error();
  if (!deposit) return deposit.error();
  if (amount->is_zero()) return bad("its unit costs nothing");
  if (!fits(terms.version, *amount) || (*deposit && !fits(terms.version, **deposit))) {
    return bad("its amounts are larger than a channel can hold");
  }
  terms.amount = *amount;
  terms.unit = unit->value_or("");
  terms.currency = *currency;
  terms.recipient = *recipient;
  terms.suggested_deposit = *deposit;
  if (auto placed = place(*details, networks, terms); !placed) return placed.error();
  return terms;
}

Spend price_of(const SessionTerms& terms) {
  Spend spend;
  spend.why = Purpose::session;
  spend.total = {terms.amount, terms.asset};
  spend.price = terms.amount;
  spend.payees = {{terms.recipient.checksummed(), terms.amount}};
  spend.fee = {Amount(), terms.fee_asset};
  spend.known_asset = terms.known_asset;
  return spend;
}

Result<Snapshot> read_snapshot(const Json& json, const Address& payer) {
  const auto chain = json.optional_integer_at("chainId");
  const auto escrow = address_at(json, "escrow");
  const Json* descriptor = json.find("descriptor");
  if (!chain || !*chain || **chain <= 0 || !escrow || descriptor == nullptr) {
    return bad("its snapshot has no chainId, escrow or descriptor");
  }
  const auto d = Descriptor::from_json(*descriptor, static_cast<std::uint64_t>(**chain), *escrow);
  if (!d) return bad(d.error().message);
  Snapshot snapshot;
  snapshot.descriptor = *d;
  const Digest id = channel_id(*d);
  const auto named = json.string_at("channelId");
  if (!named || lower(*named) != to_0x(id)) return bad("its snapshot is of another channel");
  if (d->payer != payer || (d->signer != payer && !d->signer.is_zero())) {
    return bad("its snapshot is not of a channel of " + payer.checksummed());
  }
  const auto deposit = amount_at(json, "deposit");
  const auto accepted = amount_at(json, "acceptedCumulative");
  const auto spent = amount_at(json, "spent");
  const auto units = json.optional_integer_at("units");
  if (!deposit || !accepted || !spent || !units) return bad("its snapshot lacks a number");
  if (*spent > *accepted || *accepted > *deposit) {
    return bad("its snapshot says more was spent than accepted, or accepted than deposited");
  }
  snapshot.deposit = *deposit;
  snapshot.accepted = *accepted;
  snapshot.spent = *spent;
  snapshot.units = units->value_or(0);
  if (accepted->is_zero()) return snapshot;
  const Json* voucher = json.find("highestVoucher");
  const auto signature =
      voucher == nullptr ? Result<std::string>(bad("no voucher")) : voucher->string_at("signature");
  const auto cumulative = voucher == nullptr ? Result<Amount>(bad("no voucher"))
                                             : amount_at(*voucher, "cumulativeAmount");
  ByteArray<65> raw{};
  const bool readable =
      signature && cumulative && *cumulative == *accepted && from_hex(*signature, raw);
  if (!readable || raw[64] < 27 || raw[64] > 28) {
    return bad("its snapshot claims a voucher without showing it");
  }
  Signature made{};
  std::copy_n(raw.begin(), 32, made.r.begin());
  std::copy_n(raw.begin() + 32, 32, made.s.begin());
  made.parity = static_cast<std::uint8_t>(raw[64] - 27);
  const auto signer = recover(voucher_digest(*d, id, *accepted), made);
  if (!signer || *signer != payer) return bad("its snapshot shows a voucher that is not ours");
  return snapshot;
}

std::string scope_of(const Descriptor& d) {
  return std::string(d.version == Version::v1 ? "v1" : "v2") + ":" + std::to_string(d.chain) + ":" +
         d.escrow.lower_hex() + ":" + d.token.lower_hex() + ":" + d.payee.lower_hex() + ":" +
         d.operator_.lower_hex() + ":" + d.payer.lower_hex();
}

std::string scope_of(const Address& payer, const SessionTerms& terms) {
  Descriptor d;
  d.version = terms.version;
  d.chain = terms.chain;
  d.escrow = terms.escrow;
  d.token = terms.currency;
  d.payee = terms.recipient;
  d.operator_ = terms.operator_;
  d.payer = payer;
  return scope_of(d);
}

Channel row_of(const Descriptor& d, const Asset& asset) {
  Channel channel;
  channel.id = to_0x(channel_id(d));
  channel.scope = scope_of(d);
  channel.method = "tempo";
  channel.payer = d.payer.checksummed();
  channel.payee = d.payee.checksummed();
  channel.escrow = d.escrow.checksummed();
  channel.descriptor = d.to_text();
  channel.asset = asset;
  return channel;
}

Amount step_of(const SessionTerms& terms, const Networks& networks) {
  const auto own = networks.own("step");
  const auto wanted = parse_units(own.value_or(kLeastStep), terms.asset.decimals);
  const bool in_dollars = own || terms.asset.is_dollar;
  const Amount least = in_dollars ? wanted.value_or(Amount()) : Amount();
  const Amount units =
      own ? terms.amount : terms.amount.times(kLeastUnitsAhead).value_or(terms.amount);
  return std::max(least, units);
}

Json voucher_payload(const char* action, const Descriptor& d, const Digest& id, Amount cumulative,
                     const Signature& signature) {
  Json payload = Json::object({{"action", action},
                               {"channelId", to_0x(id)},
                               {"cumulativeAmount", cumulative.decimal()},
                               {"signature", to_0x(signature.bytes())}});
  if (d.version == Version::v2) payload.set("descriptor", d.json());
  return payload;
}

}  // namespace paycurl::tempo
