#include "src/methods/tempo/settlement.h"

#include <algorithm>
#include <tuple>

#include "src/base/text.h"
#include "src/evm/abi.h"
#include "src/methods/tempo/chain.h"
#include "src/methods/tempo/transaction.h"

namespace paycurl::tempo {
namespace {

constexpr std::uint32_t kBalanceOf = 0x70a08231;
constexpr std::string_view kTransferWithMemoTopic =
    "0x57bc7354aa85aed339e000bccffabbc529466af35f0772c8f8ee1145927de7f0";
constexpr std::int64_t kMargin =
    5;  // seconds behind validBefore until nobody can be wrong any more

// The chain takes a transaction at most 30 s before its validBefore. Where that is by the chain's
// own clock does not depend on ours.
constexpr std::uint64_t kWindow = 60;          // seconds
constexpr std::uint64_t kMostBlocks = 10'000;  // what nodes search in one call

Error unreadable_row() {
  return {Kind::internal, "the journal's row cannot be read"};
}

struct ChainHead {
  std::uint64_t number = 0;
  std::uint64_t time = 0;
  Amount base_fee;
};

Result<ChainHead> read_block(const Json& block) {
  const Json* number = block.find("number");
  const Json* time = block.find("timestamp");
  const Json* base_fee = block.find("baseFeePerGas");
  const Error bad{Kind::backend, "the node's answer is no block"};
  if (number == nullptr || time == nullptr) return bad;
  const auto read_number = evm::read_quantity64(*number);
  const auto read_time = evm::read_quantity64(*time);
  const auto read_fee =
      base_fee == nullptr ? Result<Amount>(Amount()) : evm::read_quantity(*base_fee);
  if (!read_number || !read_time || !read_fee) return bad;
  return ChainHead{*read_number, *read_time, *read_fee};
}

evm::RpcCall block_call(const std::string& which) {
  return {"eth_getBlockByNumber", Json::Array{which, false}};
}

/// A block that is not younger than `time` (Unix seconds), near it: halves the distance to the
/// head.
Result<std::uint64_t> block_before(evm::Rpc& rpc, const ChainHead& head, std::uint64_t time) {
  std::uint64_t low = 0;
  std::uint64_t high = head.number;
  while (high - low > 64) {
    const std::uint64_t middle = low + (high - low) / 2;
    const auto call = block_call(evm::quantity(middle));
    const auto answer = rpc.ask(call.method, call.params);
    const auto block = answer ? read_block(*answer) : Result<ChainHead>(answer.error());
    if (!block) return block.error();
    (block->time < time ? low : high) = middle;
  }
  return low;
}

/// A transaction that is in the chain.
struct Mined {
  std::string hash;
  bool succeeded;
};

/// The transaction that carried our memo before `valid_before`, when there is one. A reverted one
/// leaves no log.
Result<std::optional<Mined>> find_by_memo(const Row& row, evm::Rpc& rpc, const ChainHead& head,
                                          const std::string& memo, std::uint64_t valid_before) {
  const auto from = block_before(rpc, head, valid_before - std::min(valid_before, kWindow));
  if (!from) return from.error();
  const auto payer = Address::parse(row.payer);
  const auto recipient = Address::parse(row.recipient);
  if (!payer || !recipient) return unreadable_row();
  Json topics = Json::array();
  topics.push(kTransferWithMemoTopic).push(to_0x(evm::word(*payer)));
  topics.push(to_0x(evm::word(*recipient))).push(memo);
  const Json filter =
      Json::object({{"address", row.paid.asset.token},
                    {"fromBlock", evm::quantity(*from)},
                    {"toBlock", evm::quantity(std::min(head.number, *from + kMostBlocks))},
                    {"topics", std::move(topics)}});
  const auto logs = rpc.ask("eth_getLogs", Json::Array{filter});
  if (!logs) return logs.error();
  if (logs->items() == nullptr) return Error{Kind::backend, "the node's answer is no list of logs"};
  for (const Json& log : *logs->items()) {
    const Json* removed = log.find("removed");
    if (removed != nullptr && removed->boolean() != nullptr && *removed->boolean()) continue;
    const auto hash = log.string_at("transactionHash");
    if (!hash) return Error{Kind::backend, "the node's log names no transaction"};
    return std::optional(Mined{*hash, true});
  }
  return std::optional<Mined>();
}

/// Reads the answer to eth_getTransactionReceipt.
Result<std::optional<Mined>> read_transaction(const Json& receipt, const std::string& hash) {
  if (receipt.is_null()) return std::optional<Mined>();
  const Json* status = receipt.find("status");
  if (status == nullptr) return Error{Kind::backend, "the node's receipt has no status"};
  const auto read = evm::read_quantity(*status);
  if (!read) return read.error();
  return std::optional(Mined{hash, *read == Amount(1)});
}

/// What a node says about a payment, in one round trip.
struct Findings {
  ChainHead head;
  std::optional<Amount> balance;  ///< of the payer, in the token that leaves them
  Result<std::optional<Mined>> transaction = std::optional<Mined>();
};

Result<Findings> ask_node(const Row& row, evm::Rpc& rpc, const std::optional<std::string>& hash) {
  const auto payer = Address::parse(row.payer);
  if (!payer) return unreadable_row();
  const std::string balance_of = to_0x(evm::Call(kBalanceOf).add(*payer).bytes());
  const Json question = Json::object({{"to", row.given().asset.token}, {"data", balance_of}});
  std::vector<evm::RpcCall> calls{{"eth_chainId", Json::array()},
                                  block_call("latest"),
                                  {"eth_call", Json::Array{question, "latest"}}};
  if (hash) calls.push_back({"eth_getTransactionReceipt", Json::Array{*hash}});
  auto answers = rpc.ask(calls);
  if (!answers) return answers.error();
  const auto& [chain_id, block, balance] = std::tie((*answers)[0], (*answers)[1], (*answers)[2]);
  const auto chain =
      chain_id ? evm::read_quantity64(*chain_id) : Result<std::uint64_t>(chain_id.error());
  if (!chain) return chain.error();
  if (network_name(*chain) != row.paid.asset.network) {
    return Error{Kind::backend, "the node is not on " + row.paid.asset.network,
                 "give a node of that chain with --rpc-url"};
  }
  Findings findings;
  const auto head = block ? read_block(*block) : Result<ChainHead>(block.error());
  if (!head) return head.error();
  findings.head = *head;
  const auto data = balance ? evm::read_data(*balance) : Result<Bytes>(balance.error());
  if (const auto word = data ? evm::word_at(*data, 0) : Result<evm::Word>(data.error())) {
    findings.balance = Amount::from_big_endian(*word);
  }
  if (!hash) return findings;
  const Result<Json>& receipt = (*answers)[3];
  if (!receipt) return receipt.error();
  findings.transaction = read_transaction(*receipt, *hash);
  return findings;
}

std::optional<Error> too_poor(const Row& row, const std::optional<Amount>& have, bool without_fee) {
  const Money& given = row.given();
  const auto need = without_fee ? given.amount : given.amount.plus(row.fee);
  if (!have || !need || *have >= *need) return std::nullopt;
  const Money needed{*need, given.asset};
  const Money there{*have, given.asset};
  Error error{Kind::insufficient_funds,
              row.payer + " has " + describe(there) + ", the payment needs " + describe(needed) +
                  (without_fee ? "" : " with the network fee"),
              "add funds (paycurl account fund, on a test network) or pay from another account",
              "insufficient_funds"};
  error.figures = {{Figure::Role::need, needed}, {Figure::Role::have, there}};
  return error;
}

Settlement open_because(Error why) {
  return {Settlement::State::open, "", std::move(why)};
}

}  // namespace

std::string Rebuild::to_text() const {
  return Json::object({{"type", type},
                       {"preimage", to_0x(preimage)},
                       {"memo", memo},
                       {"deposit", deposit.decimal()}})
      .dump();
}

Result<Rebuild> Rebuild::parse(const Row& row) {
  const Error bad{Kind::internal, "the journal does not say how payment " + row.id + " was signed"};
  const auto json = row.rebuild ? Json::parse(*row.rebuild, 1 << 20) : Result<Json>(bad);
  if (!json) return bad;
  const auto type = json->string_at("type");
  const auto preimage = json->string_at("preimage");
  const auto memo = json->string_at("memo");
  const auto bytes = preimage ? from_hex(*preimage) : Result<Bytes>(bad);
  if (!type || !memo || !bytes) return bad;
  const auto deposit = json->optional_string_at("deposit");
  const auto amount = Amount::parse(deposit && *deposit ? **deposit : "0");
  return Rebuild{*type, *bytes, *memo, amount.value_or(Amount())};
}

Settlement look_up(const Row& row, evm::Rpc& rpc, Millis now) {
  const auto rebuild = Rebuild::parse(row);
  if (!rebuild) return open_because(rebuild.error());
  if (rebuild->type == "proof") {
    const bool over = now >= row.valid_until;
    return {over ? Settlement::State::never : Settlement::State::open, "", std::nullopt};
  }
  const auto unsigned_part = read_preimage(rebuild->preimage);
  if (!unsigned_part) return open_because(unsigned_part.error());
  const bool sponsored = unsigned_part->sponsored;
  const auto findings = ask_node(row, rpc, sponsored ? std::nullopt : row.reference);
  if (!findings) return open_because(findings.error());
  const auto mined =
      sponsored ? find_by_memo(row, rpc, findings->head, rebuild->memo, unsigned_part->valid_before)
                : findings->transaction;
  if (!mined) return open_because(mined.error());
  if (*mined && (*mined)->succeeded) {
    return {Settlement::State::settled, (*mined)->hash, std::nullopt};
  }
  if (*mined) {
    Error reverted{Kind::rejected,
                   "the transaction " + printable((*mined)->hash, 80) + " was reverted"};
    return {Settlement::State::never, (*mined)->hash, std::move(reverted)};
  }
  Settlement result;
  if (findings->head.time > unsigned_part->valid_before + static_cast<std::uint64_t>(kMargin) &&
      now >= row.valid_until) {
    result.state = Settlement::State::never;
  }
  const auto& fee_token = unsigned_part->fee_token;
  const bool pays_fee_in_it =
      !sponsored && fee_token && fee_token->lower_hex() == lower(row.given().asset.token);
  result.why = too_poor(row, findings->balance, !pays_fee_in_it);
  if (!result.why && findings->head.base_fee > unsigned_part->max_fee) {
    result.why = Error{Kind::backend, "the network's fee is higher than what was signed for"};
  }
  return result;
}

Settlement look_up_session(const Row& row, Node& node, Millis now) {
  const auto rebuild = Rebuild::parse(row);
  if (!rebuild) return open_because(rebuild.error());
  if (rebuild->type == "topUp" && row.paid.amount.is_zero()) {  // no voucher came behind it
    return {now >= row.valid_until ? Settlement::State::never : Settlement::State::open, "",
            std::nullopt};
  }
  if (rebuild->type != "open") {
    return {now >= row.valid_until ? Settlement::State::settled : Settlement::State::open,
            row.session.value_or(""), std::nullopt};
  }
  const auto descriptor = Descriptor::parse(rebuild->memo);
  if (!descriptor) return open_because(descriptor.error());
  const auto states =
      node.channel_states(descriptor->version, descriptor->escrow, {channel_id(*descriptor)});
  if (!states) return open_because(states.error());
  if (states->channels.front().exists) {
    return {Settlement::State::settled, row.session.value_or(""), std::nullopt};
  }
  Settlement result;
  const bool over = states->time * 1000 > row.valid_until + kMargin * 1000;
  if (over && now >= row.valid_until) result.state = Settlement::State::never;
  const auto balances = node.balances(descriptor->payer, {row.paid.asset});
  Row needed = row;
  needed.paid.amount = rebuild->deposit;
  if (balances && !balances->empty()) {
    result.why = too_poor(needed, balances->front().amount, false);
  }
  return result;
}

}  // namespace paycurl::tempo
