#include "src/methods/tempo/node.h"

#include <algorithm>
#include <thread>

#include "src/evm/abi.h"

namespace paycurl::tempo {
namespace {

constexpr std::uint32_t kBalanceOf = 0x70a08231;
constexpr std::uint32_t kQuoteSwapExactAmountOut = 0x1576fa0e;
constexpr auto kMiningDeadline = std::chrono::seconds(35);  // longer than a payment is valid
constexpr auto kFaucetDeadline = std::chrono::seconds(30);
constexpr std::size_t kCallsInBatch = 50;
constexpr std::uint64_t kLogRange = 100'000;  // blocks in one eth_getLogs; halved when refused
constexpr std::uint64_t kLeastLogRange = 1'000;
constexpr std::size_t kMostLogs = 10'000;

evm::RpcCall call_to(const std::string& to, const Bytes& data) {
  const Json question = Json::object({{"to", to}, {"data", to_0x(data)}});
  return {"eth_call", Json::Array{question, "latest"}};
}

evm::RpcCall call_to(const Address& to, const Bytes& data) {
  return call_to(to.lower_hex(), data);
}

/// The one word that a call returned.
Result<Amount> amount_in(const Result<Json>& answer) {
  if (!answer) return answer.error();
  const auto data = evm::read_data(*answer);
  if (!data) return data.error();
  const auto word = evm::word_at(*data, 0);
  if (!word) return word.error();
  return *Amount::from_big_endian(*word);
}

Result<std::uint64_t> quantity_at(const Json& block, std::string_view key) {
  const Json* found = block.find(key);
  if (found == nullptr) return Error{Kind::backend, "the node's answer is no block"};
  return evm::read_quantity64(*found);
}

}  // namespace

Result<> Node::is_right(const Result<Json>& chain_id) const {
  const auto found =
      chain_id ? evm::read_quantity64(*chain_id) : Result<std::uint64_t>(chain_id.error());
  if (!found) return found.error();
  if (*found == chain_) return {};
  return Error{
      Kind::backend,
      "the node is on chain " + std::to_string(*found) + ", not on " + std::to_string(chain_),
      "give a node of that chain with --rpc-url"};
}

Result<> Node::check() {
  return is_right(rpc_.ask("eth_chainId", Json::array()));
}

Result<> Node::broadcast(const Bytes& transaction, const std::string& hash) {
  const Json raw = Json::Array{to_0x(transaction)};
  auto mined = rpc_.ask("eth_sendRawTransactionSync", raw, kMiningDeadline);
  if (!mined) {
    // Not every node knows the first; sending the same bytes twice is harmless.
    if (auto sent = rpc_.ask("eth_sendRawTransaction", raw); !sent) return sent.error();
    mined = wait_until_mined(hash);
  }
  if (!mined) return mined.error();
  const Json* status = mined->find("status");
  const auto success = status == nullptr ? Result<Amount>(Amount()) : evm::read_quantity(*status);
  if (success && *success == Amount(1)) return {};
  return Error{Kind::rejected, "the transaction " + hash + " was reverted"};
}

Result<Json> Node::wait_until_mined(const std::string& hash) {
  const auto end = std::chrono::steady_clock::now() + kMiningDeadline;
  while (std::chrono::steady_clock::now() < end) {
    auto receipt = rpc_.ask("eth_getTransactionReceipt", Json::Array{hash});
    if (!receipt || !receipt->is_null()) return receipt;
    std::this_thread::sleep_for(std::chrono::milliseconds(250));
  }
  return Error{Kind::backend, "the transaction was not mined in time"};
}

Result<std::vector<Money>> Node::balances(const Address& owner, const std::vector<Asset>& tokens) {
  std::vector<evm::RpcCall> calls{{"eth_chainId", Json::array()}};
  const Bytes data = evm::Call(kBalanceOf).add(owner).bytes();
  for (const Asset& token : tokens) {
    calls.push_back(call_to(token.token, data));
  }
  const auto answers = rpc_.ask(calls);
  if (!answers) return answers.error();
  if (auto right = is_right((*answers)[0]); !right) return right.error();
  std::vector<Money> found;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (const auto amount = amount_in((*answers)[i + 1])) found.push_back({*amount, tokens[i]});
  }
  return found;
}

Result<Node::SwapPrices> Node::swap_prices(const Address& owner, const Money& wanted,
                                           const std::vector<Asset>& from,
                                           const Address& exchange) {
  const Bytes balance_of = evm::Call(kBalanceOf).add(owner).bytes();
  const auto out = Address::parse(wanted.asset.token);
  if (!out) return out.error();
  std::vector<evm::RpcCall> calls{{"eth_chainId", Json::array()},
                                  call_to(wanted.asset.token, balance_of),
                                  {"eth_getBlockByNumber", Json::Array{"latest", false}}};
  for (const Asset& asset : from) {
    const auto in = Address::parse(asset.token);
    if (!in) return in.error();
    evm::Call quote(kQuoteSwapExactAmountOut);
    quote.add(*in).add(*out).add(wanted.amount);
    calls.push_back(call_to(asset.token, balance_of));
    calls.push_back(call_to(exchange, quote.bytes()));
  }
  const auto answers = rpc_.ask(calls);
  if (!answers) return answers.error();
  if (auto right = is_right((*answers)[0]); !right) return right.error();
  const auto have = amount_in((*answers)[1]);
  if (!have) return have.error();
  SwapPrices prices{*have, {}, {}};
  const Result<Json>& block = (*answers)[2];
  const Json* base_fee = block ? block->find("baseFeePerGas") : nullptr;
  if (base_fee != nullptr) {
    if (const auto read = evm::read_quantity(*base_fee)) prices.base_fee = *read;
  }
  for (std::size_t i = 3; i + 1 < answers->size(); i += 2) {
    const auto balance = amount_in((*answers)[i]);
    const auto quoted = amount_in((*answers)[i + 1]);
    prices.tokens.push_back({balance ? std::optional(*balance) : std::nullopt,
                             quoted ? std::optional(*quoted) : std::nullopt});
  }
  return prices;
}

Result<Node::ChannelStates> Node::channel_states(Version version, const Address& escrow,
                                                 const std::vector<Digest>& ids) {
  ChannelStates states;
  for (std::size_t from = 0; from < ids.size() || from == 0; from += kCallsInBatch) {
    std::vector<evm::RpcCall> calls{{"eth_chainId", Json::array()},
                                    {"eth_getBlockByNumber", Json::Array{"latest", false}}};
    const std::size_t end = std::min(from + kCallsInBatch, ids.size());
    for (std::size_t i = from; i < end; ++i) {
      calls.push_back(call_to(escrow, state_question(version, ids[i])));
    }
    const auto answers = rpc_.ask(calls);
    if (!answers) return answers.error();
    if (auto right = is_right((*answers)[0]); !right) return right.error();
    if (!(*answers)[1]) return (*answers)[1].error();
    const auto time = quantity_at(*(*answers)[1], "timestamp");
    if (!time) return time.error();
    states.time = static_cast<Millis>(*time);
    for (std::size_t i = 2; i < answers->size(); ++i) {
      const Result<Json>& answer = (*answers)[i];
      const auto data = answer ? evm::read_data(*answer) : Result<Bytes>(answer.error());
      const auto state = data ? read_state(version, *data) : Result<ChannelState>(data.error());
      if (!state) return state.error();
      states.channels.push_back(*state);
    }
  }
  return states;
}

Result<std::vector<OpenedLog>> Node::opened_channels(Version version, const Address& escrow,
                                                     const Address& payer) {
  if (auto right = check(); !right) return right.error();
  const auto newest = rpc_.ask("eth_blockNumber", Json::array());
  const auto head = newest ? evm::read_quantity64(*newest) : Result<std::uint64_t>(newest.error());
  if (!head) return head.error();
  std::vector<OpenedLog> found;
  std::uint64_t range = kLogRange;
  for (std::uint64_t end = *head + 1; end > 0;) {
    const std::uint64_t begin = end > range ? end - range : 0;
    const Json filter = Json::object(
        {{"address", escrow.lower_hex()},
         {"fromBlock", evm::quantity(begin)},
         {"toBlock", evm::quantity(end - 1)},
         {"topics", Json::Array{opened_topic(version), nullptr, to_0x(evm::word(payer))}}});
    const auto logs = rpc_.ask("eth_getLogs", Json::Array{filter});
    if (!logs && range > kLeastLogRange) {  // nodes search different numbers of blocks at once
      range /= 10;
      continue;
    }
    if (!logs) return logs.error();
    if (logs->items() == nullptr) {
      return Error{Kind::backend, "the node's answer is no list of logs"};
    }
    for (auto log = logs->items()->rbegin(); log != logs->items()->rend(); ++log) {
      auto opened = read_opened(*log, version, chain_);
      if (!opened) return opened.error();
      if (opened->descriptor.payer != payer || opened->descriptor.escrow != escrow) continue;
      if (found.size() == kMostLogs) return found;
      found.push_back(*opened);
    }
    end = begin;
  }
  return found;
}

Result<std::vector<std::string>> Node::fund(const std::string& address) {
  const auto answer = rpc_.ask("tempo_fundAddress", Json::Array{address}, kFaucetDeadline);
  if (!answer) return answer.error();
  std::vector<std::string> references;
  for (const Json& hash : answer->items() ? *answer->items() : Json::Array{}) {
    if (hash.string() != nullptr) references.push_back(*hash.string());
  }
  return references;
}

}  // namespace paycurl::tempo
