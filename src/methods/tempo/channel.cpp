#include "src/methods/tempo/channel.h"

#include <algorithm>
#include <array>

#include "src/evm/rpc.h"

namespace paycurl::tempo {
namespace {

constexpr std::uint32_t kApprove = 0x095ea7b3;

struct Selectors {
  std::uint32_t open, top_up, request_close, withdraw, state;
};
constexpr Selectors kV1{0xc79ea485, 0xb67644b9, 0x6bf5fe6f, 0x8e19899e, 0x831c2b82};
constexpr Selectors kV2{0xedc53b00, 0xdc48471e, 0x675402e5, 0x41e2c664, 0xd18da8b1};

const Selectors& selectors(Version version) {
  return version == Version::v1 ? kV1 : kV2;
}

Address address(std::string_view text) {
  return *Address::parse(text);
}

struct Escrow {
  std::uint64_t chain;
  std::string_view address;
};
// What mppx and the draft's appendix name; other chains have none.
constexpr std::array<Escrow, 3> kEscrowsV1{{
    {4217, "0x33b901018174ddabe4841042ab76ba85d4e24f25"},
    {42431, "0xe1c4d3dce17bc111181ddf716f75bae49e61a336"},
    {42431, "0x9d136eea063ede5418a6bc7beaff009bbb6cfa70"},
}};

/// The words of the descriptor in the order of TIP-1034's struct.
template <class Sink>
void each_word(const Descriptor& d, const Sink& add) {
  add(evm::word(d.payer));
  add(evm::word(d.payee));
  if (d.version == Version::v2) add(evm::word(d.operator_));
  add(evm::word(d.token));
  add(d.salt);
  add(evm::word(d.signer));
  if (d.version == Version::v2) add(d.expiring_nonce_hash);
}

/// A call whose first argument is the channel: its descriptor in v2, its id in v1.
evm::Call call_on(const Descriptor& d, const Digest& id, std::uint32_t selector) {
  evm::Call call(selector);
  if (d.version == Version::v1) return call.add(id);
  each_word(d, [&](const evm::Word& word) { call.add(word); });
  return call;
}

Error bad(const std::string& why) {
  return {Kind::protocol, "the channel's descriptor is malformed: " + why};
}

Result<Address> address_at(const Json& json, std::string_view key) {
  const auto text = json.string_at(key);
  if (!text) return bad(text.error().message);
  const auto read = Address::parse(*text);
  if (!read) return bad("its " + std::string(key) + " is " + read.error().message);
  return *read;
}

Result<evm::Word> word_of(const Json& json, std::string_view key) {
  const auto text = json.string_at(key);
  if (!text) return bad(text.error().message);
  evm::Word word{};
  if (!text->starts_with("0x") || !from_hex(*text, word)) {
    return bad("its " + std::string(key) + " is not 32 bytes");
  }
  return word;
}

Result<Address> address_of(const evm::Word& word) {
  if (std::any_of(word.begin(), word.begin() + 12, [](auto byte) { return byte != 0; })) {
    return Error{Kind::backend, "the node's log has no address where one belongs"};
  }
  ByteArray<20> bytes{};
  std::copy(word.begin() + 12, word.end(), bytes.begin());
  return Address(bytes);
}

}  // namespace

Json Descriptor::json() const {
  return Json::object({{"payer", payer.checksummed()},
                       {"payee", payee.checksummed()},
                       {"operator", operator_.checksummed()},
                       {"token", token.checksummed()},
                       {"salt", to_0x(salt)},
                       {"authorizedSigner", signer.checksummed()},
                       {"expiringNonceHash", to_0x(expiring_nonce_hash)}});
}

std::string Descriptor::to_text() const {
  return json()
      .set("version", version == Version::v1 ? 1 : 2)
      .set("chain", static_cast<std::int64_t>(chain))
      .set("escrow", escrow.checksummed())
      .dump();
}

Result<Descriptor> Descriptor::from_json(const Json& json, std::uint64_t chain,
                                         const Address& escrow) {
  Descriptor d;
  d.chain = chain;
  d.escrow = escrow;
  for (const auto& [key, into] : {std::pair{"payer", &d.payer}, std::pair{"payee", &d.payee},
                                  std::pair{"operator", &d.operator_}, std::pair{"token", &d.token},
                                  std::pair{"authorizedSigner", &d.signer}}) {
    const auto read = address_at(json, key);
    if (!read) return read.error();
    *into = *read;
  }
  const auto salt = word_of(json, "salt");
  const auto hash = word_of(json, "expiringNonceHash");
  if (!salt) return salt.error();
  if (!hash) return hash.error();
  d.salt = *salt;
  d.expiring_nonce_hash = *hash;
  return d;
}

Result<Descriptor> Descriptor::parse(std::string_view text) {
  const auto json = Json::parse(text);
  if (!json) return json.error();
  const auto chain = json->optional_integer_at("chain");
  const auto version = json->optional_integer_at("version");
  const auto escrow = address_at(*json, "escrow");
  if (!chain || !*chain || !version || !*version || !escrow) {
    return Error{Kind::internal, "the journal's channel cannot be read"};
  }
  auto read = from_json(*json, static_cast<std::uint64_t>(**chain), *escrow);
  if (read) read->version = **version == 1 ? Version::v1 : Version::v2;
  return read;
}

Address reserve() {
  return address("0x4d50500000000000000000000000000000000000");
}

std::vector<std::pair<Version, Address>> known_escrows(std::uint64_t chain) {
  std::vector<std::pair<Version, Address>> known{{Version::v2, reserve()}};
  for (const Escrow& escrow : kEscrowsV1) {
    if (escrow.chain == chain) known.emplace_back(Version::v1, address(escrow.address));
  }
  return known;
}

bool is_known_escrow(Version version, std::uint64_t chain, const Address& escrow) {
  const auto known = known_escrows(chain);
  return std::find(known.begin(), known.end(), std::pair{version, escrow}) != known.end();
}

Digest channel_id(const Descriptor& d) {
  Bytes encoded;
  const auto add = [&](const evm::Word& word) {
    encoded.insert(encoded.end(), word.begin(), word.end());
  };
  each_word(d, add);
  add(evm::word(d.escrow));
  add(evm::word(Amount(d.chain)));
  return keccak256(encoded);
}

Digest voucher_digest(const Descriptor& d, const Digest& id, Amount cumulative) {
  const bool v1 = d.version == Version::v1;
  const Digest voucher = evm::struct_hash(v1 ? "Voucher(bytes32 channelId,uint128 cumulativeAmount)"
                                             : "Voucher(bytes32 channelId,uint96 cumulativeAmount)",
                                          {id, evm::word(cumulative)});
  return evm::typed_digest(
      {v1 ? "Tempo Stream Channel" : "TIP20 Channel Reserve", "1", d.chain, d.escrow}, voucher);
}

std::vector<Call> open_calls(const Descriptor& d, Amount deposit) {
  evm::Call open(selectors(d.version).open);
  open.add(d.payee);
  if (d.version == Version::v2) open.add(d.operator_);
  open.add(d.token).add(deposit).add(d.salt).add(d.signer);
  std::vector<Call> calls;
  if (d.version == Version::v1) {
    calls.push_back({d.token, evm::Call(kApprove).add(d.escrow).add(deposit).bytes()});
  }
  calls.push_back({d.escrow, open.bytes()});
  return calls;
}

std::vector<Call> top_up_calls(const Descriptor& d, const Digest& id, Amount additional) {
  std::vector<Call> calls;
  if (d.version == Version::v1) {
    calls.push_back({d.token, evm::Call(kApprove).add(d.escrow).add(additional).bytes()});
  }
  calls.push_back({d.escrow, call_on(d, id, selectors(d.version).top_up).add(additional).bytes()});
  return calls;
}

Call request_close_call(const Descriptor& d, const Digest& id) {
  return {d.escrow, call_on(d, id, selectors(d.version).request_close).bytes()};
}

Call withdraw_call(const Descriptor& d, const Digest& id) {
  return {d.escrow, call_on(d, id, selectors(d.version).withdraw).bytes()};
}

Bytes state_question(Version version, const Digest& id) {
  return evm::Call(selectors(version).state).add(id).bytes();
}

// v2: settled, deposit, closeRequestedAt; a closed channel is all zero.
// v1: finalized, closeRequestedAt, payer, payee, token, authorizedSigner, deposit, settled.
Result<ChannelState> read_state(Version version, ByteView returned) {
  const bool v1 = version == Version::v1;
  std::vector<Amount> words;
  for (std::size_t i = 0; i < (v1 ? 8U : 3U); ++i) {
    const auto word = evm::word_at(returned, i);
    if (!word) return word.error();
    words.push_back(*Amount::from_big_endian(*word));
  }
  ChannelState state;
  state.settled = words[v1 ? 7 : 0];
  state.deposit = words[v1 ? 6 : 1];
  const auto requested = words[v1 ? 1 : 2].divided_by(1ULL << 62);
  if (!requested.quotient.is_zero()) {
    return Error{Kind::backend, "the escrow's answer makes no sense"};
  }
  state.close_requested = static_cast<std::int64_t>(requested.remainder);
  state.exists = !state.deposit.is_zero() && (!v1 || words[0].is_zero());
  return state;
}

std::string opened_topic(Version version) {
  return version == Version::v1
             ? "0xcd6e60364f8ee4c2b0d62afc07a1fb04fd267ce94693f93f8f85daaa099b5c94"
             : "0xdebaba36f0e9c7978f536fed432d9360b1f9646d7ca88531c34c3eae43f154a7";
}

// Topics: signature, channelId, payer, payee. Data of v2: operator, token, authorizedSigner, salt,
// expiringNonceHash, deposit; of v1: token, authorizedSigner, salt, deposit.
Result<OpenedLog> read_opened(const Json& log, Version version, std::uint64_t chain) {
  const Error not_one{Kind::backend, "the node's log is not that of an opened channel"};
  const Json* topics = log.find("topics");
  const Json* data = log.find("data");
  const auto emitter = log.string_at("address");
  if (topics == nullptr || topics->items() == nullptr || topics->items()->size() != 4 ||
      data == nullptr || !emitter) {
    return not_one;
  }
  std::vector<evm::Word> words;
  for (const Json& topic : *topics->items()) {
    const auto bytes = evm::read_data(topic);
    const auto word = bytes ? evm::word_at(*bytes, 0) : Result<evm::Word>(not_one);
    if (!word) return not_one;
    words.push_back(*word);
  }
  const auto bytes = evm::read_data(*data);
  const std::size_t count = version == Version::v1 ? 4 : 6;
  for (std::size_t i = 0; i < count; ++i) {
    const auto word = bytes ? evm::word_at(*bytes, i) : Result<evm::Word>(not_one);
    if (!word) return not_one;
    words.push_back(*word);
  }
  OpenedLog opened;
  Descriptor& d = opened.descriptor;
  d.version = version;
  d.chain = chain;
  const auto escrow = Address::parse(*emitter);
  if (!escrow) return not_one;
  d.escrow = *escrow;
  std::vector<std::pair<Address*, std::size_t>> addresses{{&d.payer, 2}, {&d.payee, 3}};
  if (version == Version::v1) {
    addresses.insert(addresses.end(), {{&d.token, 4}, {&d.signer, 5}});
    d.salt = words[6];
  } else {
    addresses.insert(addresses.end(), {{&d.operator_, 4}, {&d.token, 5}, {&d.signer, 6}});
    d.salt = words[7];
    d.expiring_nonce_hash = words[8];
  }
  for (const auto& [into, index] : addresses) {
    const auto read = address_of(words[index]);
    if (!read) return read.error();
    *into = *read;
  }
  opened.deposit = *Amount::from_big_endian(words.back());
  if (to_0x(words[0]) != opened_topic(version) || channel_id(d) != words[1]) return not_one;
  return opened;
}

}  // namespace paycurl::tempo
