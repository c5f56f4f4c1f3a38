#include "src/methods/tempo/settlement.h"

#include "src/base/text.h"
#include "src/evm/abi.h"
#include "src/methods/tempo/chain.h"
#include "src/methods/tempo/transaction.h"

namespace paycurl::tempo {
namespace {

constexpr std::uint32_t kBalanceOf = 0x70a08231;
constexpr std::string_view kTransferWithMemoTopic =
    "0x57bc7354aa85aed339e000bccffabbc529466af35f0772c8f8ee1145927de7f0";
constexpr std::uint64_t kMargin =
    5;  // seconds behind validBefore until nobody can be wrong any more

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

/// The hash of the transaction that carried our memo; empty when there is none.
Result<std::string> find_by_memo(const Row& row, evm::Rpc& rpc, const ChainHead& head,
                                 const std::string& memo) {
  const auto from = block_before(rpc, head, static_cast<std::uint64_t>(row.time / 1000 - 120));
  if (!from) return from.error();
  const auto payer = Address::parse(row.payer);
  const auto recipient = Address::parse(row.recipient);
  if (!payer || !recipient) return Error{Kind::internal, "the journal's addresses cannot be read"};
  Json topics = Json::array();
  topics.push(kTransferWithMemoTopic).push(to_0x(evm::word(*payer)));
  topics.push(to_0x(evm::word(*recipient))).push(memo);
  const Json filter = Json::object({{"address", row.paid.asset.token},
                                    {"fromBlock", evm::quantity(*from)},
                                    {"toBlock", "latest"},
                                    {"topics", std::move(topics)}});
  const auto logs = rpc.ask("eth_getLogs", Json::Array{filter});
  if (!logs) return logs.error();
  if (logs->items() == nullptr) return Error{Kind::backend, "the node's answer is no list of logs"};
  for (const Json& log : *logs->items()) {
    const Json* removed = log.find("removed");
    if (removed != nullptr && removed->boolean() != nullptr && *removed->boolean()) continue;
    return log.string_at("transactionHash");
  }
  return std::string();
}

/// True, false, or nothing when the transaction is not mined.
Result<std::optional<bool>> succeeded(const Json& receipt) {
  if (receipt.is_null()) return std::optional<bool>();
  const Json* status = receipt.find("status");
  const auto read = status == nullptr
                        ? Result<Amount>(Error{Kind::backend, "a receipt without status"})
                        : evm::read_quantity(*status);
  if (!read) return read.error();
  return std::optional(*read == Amount(1));
}

std::optional<Error> too_poor(const Row& row, const Json& answer, bool sponsored) {
  const auto data = evm::read_data(answer);
  const auto word = data ? evm::word_at(*data, 0) : Result<evm::Word>(data.error());
  if (!word) return std::nullopt;
  const Amount have = *Amount::from_big_endian(*word);
  const auto need = sponsored ? row.paid.amount : row.paid.amount.plus(row.fee).value_or(have);
  if (have >= need) return std::nullopt;
  const Money needed{need, row.paid.asset};
  const Money there{have, row.paid.asset};
  Error error{Kind::insufficient_funds,
              row.payer + " has " + describe(there) + ", the payment needs " + describe(needed) +
                  (sponsored ? "" : " with the network fee"),
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
  return Json::object({{"type", type}, {"preimage", to_0x(preimage)}, {"memo", memo}}).dump();
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
  return Rebuild{*type, *bytes, *memo};
}

Settlement look_up(const Row& row, evm::Rpc& rpc, Millis now) {
  const auto rebuild = Rebuild::parse(row);
  if (!rebuild) return open_because(rebuild.error());
  if (rebuild->type == "proof") {
    return {now >= row.valid_until ? Settlement::State::never : Settlement::State::open, "",
            std::nullopt};
  }
  const auto payer = Address::parse(row.payer);
  const auto valid_before = valid_before_of(rebuild->preimage);
  if (!payer || !valid_before)
    return open_because({Kind::internal, "the journal's row cannot be read"});
  const std::string balance = to_0x(evm::Call(kBalanceOf).add(*payer).bytes());
  const Json question = Json::object({{"to", row.paid.asset.token}, {"data", balance}});
  const bool sponsored = !row.reference.has_value();
  std::vector<evm::RpcCall> calls{{"eth_chainId", Json::array()},
                                  block_call("latest"),
                                  {"eth_call", Json::Array{question, "latest"}}};
  if (!sponsored) calls.push_back({"eth_getTransactionReceipt", Json::Array{*row.reference}});
  const auto answers = rpc.ask(calls);
  if (!answers) return open_because(answers.error());
  for (std::size_t i : {std::size_t{0}, std::size_t{1}, calls.size() - 1}) {
    if (!(*answers)[i] && i != 2) return open_because((*answers)[i].error());
  }
  const auto chain = evm::read_quantity64(*(*answers)[0]);
  if (!chain || network_name(*chain) != row.paid.asset.network) {
    return open_because({Kind::backend, "the node is not on " + row.paid.asset.network,
                         "give a node of that chain with --rpc-url"});
  }
  const auto head = read_block(*(*answers)[1]);
  if (!head) return open_because(head.error());
  std::string reference = row.reference.value_or("");
  std::optional<bool> success;
  if (sponsored) {
    const auto found = find_by_memo(row, rpc, *head, rebuild->memo);
    if (!found) return open_because(found.error());
    reference = *found;
    if (!found->empty()) success = true;
  } else {
    const auto read = succeeded(*(*answers)[3]);
    if (!read) return open_because(read.error());
    success = *read;
  }
  if (success == true) return {Settlement::State::settled, reference, std::nullopt};
  if (success == false) {
    return {Settlement::State::never, reference,
            Error{Kind::rejected, "the transaction " + printable(reference, 80) + " was reverted"}};
  }
  Settlement result;
  if (head->time > *valid_before + kMargin) result.state = Settlement::State::never;
  if ((*answers)[2]) result.why = too_poor(row, *(*answers)[2], sponsored);
  return result;
}

}  // namespace paycurl::tempo
