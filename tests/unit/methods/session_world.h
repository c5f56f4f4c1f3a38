// What a session lives in: a journal, a key, limits, and a chain whose node answers at once.
#pragma once

#include <map>

#include "src/methods/tempo/session.h"
#include "tests/client.h"
#include "tests/unit/folder.h"

namespace paycurl::test {

/// An http::Client behind which is a node that knows channels by their ids.
class NodeClient : public FakeClient {
 public:
  std::map<std::string, tempo::ChannelState> channels;
  std::function<Millis()> time = [] { return Millis{0}; };
  std::uint64_t chain = 42431;
  bool away = false;
  int asked = 0;  ///< batches

 private:
  void exchange(const http::Request& request, http::Stream& stream) override {
    ++asked;
    if (away) return stream.done(http::transport_error(7, "there is no node"), {});
    http::Head head;
    head.status = 200;
    Result<> result = stream.head(head);
    if (result) result = stream.data(answer(**request.body->text(1 << 20)));
    stream.done(result, {});
  }
  std::string answer(const std::string& body) const {
    const Json questions = *Json::parse(body, 1 << 20);
    if (questions.items() == nullptr) return answer(questions).dump();
    Json all = Json::array();
    for (const Json& question : *questions.items())
      all.push(answer(question));
    return all.dump();
  }
  Json answer(const Json& question) const {
    return Json::object({{"id", *question.find("id")}, {"result", result_of(question)}});
  }
  Json result_of(const Json& question) const {
    const std::string method = *question.string_at("method");
    if (method == "eth_chainId") return evm::quantity(chain);
    if (method == "eth_getBlockByNumber") {
      const auto seconds = static_cast<std::uint64_t>(time() / 1000);
      return Json::object({{"timestamp", evm::quantity(seconds)}});
    }
    REQUIRE(method == "eth_call");
    const std::string data = *question.find("params")->items()->front().string_at("data");
    const auto found = channels.find("0x" + data.substr(10));
    const tempo::ChannelState state =
        found == channels.end() ? tempo::ChannelState() : found->second;
    const Amount requested(static_cast<std::uint64_t>(state.close_requested));
    std::vector<Amount> words{state.settled, state.deposit, requested};
    if (data.starts_with("0x831c2b82"))
      words = {0, requested, 1, 2, 3, 4, state.deposit, state.settled};
    std::string hex = "0x";
    for (const Amount& word : words)
      hex += to_hex(word.big_endian());
    return hex;
  }
};

inline const std::string kPayeeText = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";

/// An offer of AlphaUSD on the test network, `more` being members of methodDetails.
inline Challenge session_offer(const std::string& amount, const std::string& suggested = "",
                               const std::string& unit = "request", Json more = Json::object()) {
  Json details = std::move(more);
  details.set("chainId", 42431);
  if (details.find("sessionProtocol") == nullptr) details.set("sessionProtocol", "v2");
  if (details.find("escrowContract") == nullptr) {
    details.set("escrowContract", tempo::reserve().lower_hex());
  }
  Challenge challenge;
  challenge.protocol = "mpp";
  challenge.id = "c1";
  challenge.method = "tempo";
  challenge.intent = "session";
  challenge.url = *http::parse_url("https://api.example.com/x");
  challenge.echo = Json::object({{"id", "c1"}});
  challenge.request =
      Json::object({{"amount", amount},
                    {"currency", "0x20c0000000000000000000000000000000000001"},
                    {"recipient", kPayeeText},
                    {"unitType", unit},
                    {"suggestedDeposit", Json::or_null(std::string_view(suggested))},
                    {"methodDetails", details}});
  return challenge;
}

struct SessionWorld {
  Folder folder;
  Millis now = system_now();
  NodeClient node;
  MethodOptions options;
  Limits limits;
  Database database;
  Ledger ledger;
  Channels channels;
  std::optional<tempo::Networks> networks;
  std::unique_ptr<Spender> spender;
  std::unique_ptr<Session> session;

  SessionWorld()
      : database(std::move(**Database::open(folder / "state", true))),
        ledger(database, folder / "state", [this] { return now; }),
        channels(database, folder / "state", [this] { return now; }) {
    options.clock = [this] { return now; };
    node.time = [this] { return now; };
    restart();
  }

  static const PrivateKey& key() {
    static const PrivateKey key =
        *PrivateKey::parse("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80");
    return key;
  }

  /// A new process: what it signed itself is forgotten, the journal stays.
  void restart() {
    session.reset();
    networks = *tempo::Networks::make(options, node);
    spender = std::make_unique<Spender>(
        ledger, channels, limits, Payer{"main", key().address().checksummed()},
        PayerSource{[] { return PrivateKey::parse(key().hex().text()); }, {}},
        [this] { return now; });
  }

  /// As new, in less time.
  void clear() {
    REQUIRE(database.run("DELETE FROM payments; DELETE FROM channels").has_value());
    node.channels.clear();
    options.own.clear();
    limits = {};
    restart();
  }

  Result<tempo::SessionTerms> terms(const Challenge& challenge) const {
    return tempo::read_session(challenge, *networks);
  }

  /// A session for a new request.
  Session& begin(const Challenge& challenge, SessionChoice choice = {}) {
    session.reset();
    Row row;
    row.id = new_payment_id(now);
    row.time = now;
    row.identity = row.id;
    row.http_method = "GET";
    row.url = challenge.url.text;
    row.origin = challenge.url.origin();
    row.protocol = "mpp";
    row.method = "tempo";
    row.intent = "session";
    row.challenge_id = challenge.id;
    row.challenge = challenge.echo.dump();
    spender->begin(std::move(row));
    choice.patience = std::chrono::milliseconds(0);
    const auto read = terms(challenge);
    REQUIRE(read.has_value());
    auto made = tempo::make_session(*read, challenge, choice, *networks, *spender);
    REQUIRE(made.has_value());
    session = std::move(*made);
    return *session;
  }

  /// A channel as an earlier run would have left it, on the chain as well.
  Channel insert_channel(const Challenge& challenge, std::uint64_t deposit,
                         std::uint64_t signed_amount, std::uint64_t spent) {
    const tempo::SessionTerms read = *terms(challenge);
    tempo::Descriptor d;
    d.version = read.version;
    d.chain = read.chain;
    d.escrow = read.escrow;
    d.payer = d.signer = key().address();
    d.payee = read.recipient;
    d.operator_ = read.operator_;
    d.token = read.currency;
    ++salt_;
    d.salt[0] = static_cast<std::uint8_t>(salt_);
    d.salt[1] = static_cast<std::uint8_t>(salt_ >> 8);
    Channel channel;
    channel.id = to_0x(tempo::channel_id(d));
    channel.scope = tempo::scope_of(d);
    channel.status = ChannelStatus::open;
    channel.method = "tempo";
    channel.origin = challenge.url.origin();
    channel.url = challenge.url.text;
    channel.payer = key().address().checksummed();
    channel.payee = d.payee.checksummed();
    channel.account = "main";
    channel.escrow = d.escrow.checksummed();
    channel.descriptor = d.to_text();
    channel.asset = read.asset;
    channel.deposit = Amount(deposit);
    channel.signed_amount = Amount(signed_amount);
    channel.accepted = channel.spent = Amount(spent);
    channel.opened = channel.used = now;
    REQUIRE(channels.insert(channel).has_value());
    node.channels[channel.id] = {true, channel.deposit, Amount(), 0};
    return channel;
  }

 private:
  std::uint16_t salt_ = 0;
};

/// What a step sends.
inline std::string said(const Session::Step& step, std::string_view key) {
  return step.credential.payload.string_at(key).has_value()
             ? *step.credential.payload.string_at(key)
             : "";
}

/// "voucher 3000", "open 1000", "topUp 500".
inline std::string told(const Session::Step& step) {
  const std::string action = said(step, "action");
  return action + " " + said(step, action == "topUp" ? "additionalDeposit" : "cumulativeAmount");
}

inline std::string told(const Result<Session::Step>& step) {
  return step ? told(*step) : "error " + step.error().reason;
}

inline std::string told(const Result<std::optional<Session::Step>>& step) {
  if (!step) return "error " + step.error().reason;
  return *step ? told(**step) : "done";
}

/// The newest channel's.
inline Channel row(SessionWorld& world) {
  return *world.channels.find("last");
}

inline Receipt receipt_of(const std::string& channel, std::uint64_t accepted, std::uint64_t spent) {
  return {"tempo", channel, "",
          Json::object({{"channelId", channel},
                        {"acceptedCumulative", std::to_string(accepted)},
                        {"spent", std::to_string(spent)},
                        {"units", 1}})};
}

inline Session::Reply served(std::optional<Receipt> receipt = std::nullopt) {
  Session::Reply reply;
  reply.status = 200;
  reply.receipt = std::move(receipt);
  return reply;
}

inline Session::Reply refusal(const std::string& type, std::vector<Challenge> challenges = {},
                              int status = 402) {
  Session::Reply reply;
  reply.status = status;
  if (!type.empty()) reply.problem = Problem{type, "", "", Json::object()};
  reply.challenges = std::move(challenges);
  return reply;
}

}  // namespace paycurl::test
