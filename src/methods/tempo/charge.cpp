#include "src/methods/tempo/charge.h"

#include <algorithm>

#include "src/base/text.h"

namespace paycurl::tempo {
namespace {

constexpr std::size_t kMaxSplits = 10;
constexpr std::uint32_t kTransfer = 0xa9059cbb;
constexpr std::uint32_t kTransferWithMemo = 0x95777d59;

Error bad(const std::string& why) {
  return {Kind::protocol, "the charge is malformed: " + why};
}

Result<Amount> amount_at(const Json& json) {
  const auto text = json.string_at("amount");
  if (!text) return bad(text.error().message);
  const auto amount = Amount::parse(*text);
  if (!amount) {
    return bad("its amount " + printable(*text, 90) + " is no whole number of base units");
  }
  return *amount;
}

Result<Address> address_at(const Json& json, std::string_view key) {
  const auto text = json.string_at(key);
  if (!text) return bad(text.error().message);
  const auto address = Address::parse(*text);
  if (!address) return bad("its " + std::string(key) + " is " + address.error().message);
  return *address;
}

Result<std::optional<Memo>> memo_at(const Json& json) {
  const auto text = json.optional_string_at("memo");
  if (!text) return bad(text.error().message);
  if (!*text) return std::optional<Memo>();
  Memo memo{};
  if (!(*text)->starts_with("0x") || !from_hex(**text, memo)) return bad("a memo is not 32 bytes");
  return std::optional(memo);
}

Result<std::vector<Split>> splits_at(const Json& details) {
  std::vector<Split> splits;
  const Json* list = details.find("splits");
  if (list == nullptr || list->is_null()) return splits;
  if (list->items() == nullptr || list->items()->size() > kMaxSplits) {
    return bad("its splits are not a list of at most 10");
  }
  for (const Json& item : *list->items()) {
    const auto amount = amount_at(item);
    const auto recipient = amount ? address_at(item, "recipient") : Result<Address>(amount.error());
    const auto memo = recipient ? memo_at(item) : Result<std::optional<Memo>>(recipient.error());
    if (!memo) return memo.error();
    if (amount->is_zero()) return bad("a split of nothing");
    splits.push_back({*recipient, *amount, *memo});
  }
  return splits;
}

Result<> read_modes(const Json& details, Charge& charge) {
  const Json* modes = details.find("supportedModes");
  if (modes == nullptr || modes->is_null()) return {};
  if (modes->items() == nullptr) return bad("its supportedModes are not a list");
  charge.allows_pull = charge.allows_push = false;
  for (const Json& mode : *modes->items()) {
    if (mode.string() == nullptr) return bad("its supportedModes are not words");
    charge.allows_pull = charge.allows_pull || *mode.string() == "pull";
    charge.allows_push = charge.allows_push || *mode.string() == "push";
  }
  return {};
}

Result<> read_details(const Json& details, Charge& charge) {
  if (details.members() == nullptr) return bad("its methodDetails are not an object");
  const auto chain = details.optional_integer_at("chainId");
  if (!chain) return bad(chain.error().message);
  if (*chain && **chain <= 0) return bad("its chainId is not a positive number");
  if (*chain) charge.chain = static_cast<std::uint64_t>(**chain);
  const auto fee_payer = details.optional_boolean_at("feePayer");
  if (!fee_payer) return bad(fee_payer.error().message);
  charge.fee_payer = fee_payer->value_or(false);
  const auto memo = memo_at(details);
  if (!memo) return memo.error();
  charge.memo = *memo;
  auto splits = splits_at(details);
  if (!splits) return splits.error();
  charge.splits = std::move(*splits);
  return read_modes(details, charge);
}

}  // namespace

Result<Charge> parse_charge(const Json& request) {
  Charge charge;
  const auto amount = amount_at(request);
  if (!amount) return amount.error();
  charge.amount = *amount;
  const auto currency = address_at(request, "currency");
  if (!currency) return currency.error();
  charge.currency = *currency;
  // A proof moves nothing, so nobody need receive it.
  const bool has_recipient = request.find("recipient") != nullptr;
  const auto recipient = has_recipient || !amount->is_zero() ? address_at(request, "recipient")
                                                             : Result<Address>(Address());
  if (!recipient) return recipient.error();
  charge.recipient = *recipient;
  if (const Json* details = request.find("methodDetails"); details && !details->is_null()) {
    if (auto read = read_details(*details, charge); !read) return read.error();
  }
  std::optional<Amount> rest = charge.amount;
  for (const Split& split : charge.splits) {
    rest = rest ? rest->minus(split.amount) : rest;
  }
  if (!rest || (rest->is_zero() && !charge.splits.empty())) {
    return bad("its splits leave nothing to the recipient");
  }
  return charge;
}

std::vector<Transfer> transfers_of(const Charge& charge, const Memo& memo) {
  std::vector<Transfer> transfers{{charge.recipient, charge.amount, memo}};
  for (const Split& split : charge.splits) {
    Amount& rest = transfers.front().amount;
    rest = rest.minus(split.amount).value_or(Amount());
    transfers.push_back({split.recipient, split.amount, split.memo});
  }
  return transfers;
}

Call transfer_call(const Address& token, const Transfer& transfer) {
  evm::Call call(transfer.memo ? kTransferWithMemo : kTransfer);
  call.add(transfer.to).add(transfer.amount);
  if (transfer.memo) call.add(*transfer.memo);
  return {token, call.bytes()};
}

std::optional<Transfer> read_transfer_call(ByteView input) {
  constexpr std::size_t kSelector = 4, kWord = 32, kPadding = 12;
  const auto starts_with = [&](std::uint32_t selector) {
    const evm::Call call(selector);
    return input.size() >= kSelector &&
           std::equal(call.bytes().begin(), call.bytes().end(), input.begin());
  };
  const std::size_t words = starts_with(kTransferWithMemo) ? 3 : starts_with(kTransfer) ? 2 : 0;
  if (words == 0 || input.size() != kSelector + words * kWord) return std::nullopt;
  const auto to = evm::word_at(input.subspan(kSelector), 0);
  const auto amount = evm::word_at(input.subspan(kSelector), 1);
  const bool is_address =
      std::all_of(to->begin(), to->begin() + kPadding, [](std::uint8_t byte) { return byte == 0; });
  if (!is_address) return std::nullopt;
  ByteArray<20> address{};
  std::copy(to->begin() + kPadding, to->end(), address.begin());
  Transfer transfer{Address(address), *Amount::from_big_endian(*amount), std::nullopt};
  if (words == 3) transfer.memo = *evm::word_at(input.subspan(kSelector), 2);
  return transfer;
}

Memo attribution_memo(std::string_view realm, std::string_view client,
                      std::string_view challenge_id) {
  constexpr std::size_t kTag = 4, kFingerprint = 10, kBinding = 7;
  Memo memo{};
  auto out = memo.begin();
  const auto put = [&](std::string_view text, std::size_t size) {
    const Digest digest = keccak256(as_bytes(text));
    out = std::copy_n(digest.begin(), size, out);
  };
  put("mpp", kTag);
  *out++ = 1;
  put(realm, kFingerprint);
  if (client.empty()) {
    out += kFingerprint;
  } else {
    put(client, kFingerprint);
  }
  put(challenge_id, kBinding);
  return memo;
}

Digest proof_digest(std::uint64_t chain, const Address& account, std::string_view challenge_id,
                    std::string_view realm) {
  const Digest proof = evm::struct_hash(
      "Proof(address account,string challengeId,string realm)",
      {evm::word(account), keccak256(as_bytes(challenge_id)), keccak256(as_bytes(realm))});
  return evm::typed_digest({"MPP", "3", chain, std::nullopt}, proof);
}

}  // namespace paycurl::tempo
