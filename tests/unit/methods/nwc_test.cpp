// Nostr Wallet Connect: events, what relays say, and a whole wallet behind a relay in memory that
// answers, errs, lies and keeps silent.
#include <array>
#include <functional>

#include <doctest/doctest.h>

#include "src/methods/lightning/node.h"
#include "src/methods/lightning/nodes/nip44.h"
#include "src/methods/lightning/nodes/nostr.h"
#include "src/methods/lightning/nodes/nwc_answer.h"
#include "tests/client.h"
#include "tests/unit/methods/bolt11_encoder.h"

namespace paycurl::lightning {
namespace {

using namespace std::chrono_literals;
using State = Payment::State;

constexpr std::string_view kPreimage =
    "0101010101010101010101010101010101010101010101010101010101010101";

PrivateKey key(std::uint8_t seed) {
  return *PrivateKey::from_bytes(Bytes(32, seed));
}

Digest hash() {
  return sha256(Bytes(32, 1));
}

Invoice invoice() {
  test::InvoiceFields fields;
  fields.msat = 100'000;
  fields.payment_hash = hash();
  return *read_invoice(test::encode(fields));
}

NostrEvent event(std::string content, std::vector<NostrEvent::Tag> tags = {}) {
  NostrEvent made;
  made.kind = 23195;
  made.created = 1'700'000'000;
  made.tags = std::move(tags);
  made.content = std::move(content);
  return signed_event(std::move(made), key(7));
}

Json list(std::initializer_list<Json> items) {
  Json all = Json::array();
  for (const Json& item : items) {
    all.push(item);
  }
  return all;
}

TEST_CASE("an event is read as it was signed") {
  // The ID by hand: NIP-01's serialization without white space.
  const NostrEvent made = event("a\"\\/\x7f\xc3\xa9", {{"p", "x", "y"}, {"e"}, {}});
  const std::string author = to_hex(key(7).x_only_key());
  CHECK(made.id == sha256(as_bytes("[0,\"" + author +
                                   "\",1700000000,23195,[[\"p\",\"x\",\"y\"],[\"e\"],[]],"
                                   "\"a\\\"\\\\/\x7f\xc3\xa9\"]")));
  CHECK(made.has_tag("p", "x"));
  CHECK_FALSE(made.has_tag("p", "y"));
  CHECK_FALSE(made.has_tag("e", ""));
  CHECK(*made.tag("p") == "x");
  CHECK(made.tag("e") == nullptr);
  const auto read = read_event(*Json::parse(made.json().dump()));
  REQUIRE(read);
  CHECK(read->json().dump() == made.json().dump());
}

TEST_CASE("an event that is not its author's is refused") {
  const auto refused = [](const char* member, Json value) {
    Json json = event("content", {{"e", "x"}}).json();
    json.set(member, std::move(value));
    return !read_event(json).has_value();
  };
  CHECK_FALSE(refused("other", 1));
  CHECK(refused("content", "content2"));
  CHECK(refused("created_at", 1));
  CHECK(refused("kind", 23194));
  CHECK(refused("tags", Json::array()));
  CHECK(refused("pubkey", to_hex(key(8).x_only_key())));
  const NostrEvent other = event("other");
  CHECK(refused("id", to_hex(other.id)));
  CHECK(refused("sig", to_hex(other.signature)));
  std::string upper = to_hex(event("content", {{"e", "x"}}).id);
  for (char& c : upper) {
    if (c >= 'a') c = static_cast<char>(c - 'a' + 'A');
  }
  CHECK(refused("id", upper));
  for (const char* member : {"id", "pubkey", "sig", "content", "created_at", "kind", "tags"}) {
    CHECK(refused(member, Json()));
    CHECK(refused(member, Json::object()));
  }
  CHECK(refused("tags", list({"x"})));
  CHECK(refused("tags", list({list({1})})));
  CHECK_FALSE(read_event(event("a\nb").json()));
  CHECK_FALSE(read_event(event("a", {{"x", "\x01"}}).json()));
}

TEST_CASE("what relays say") {
  using What = RelayMessage::What;
  const auto what = [](const std::string& text) {
    const auto read = read_relay_message(text);
    return read ? std::optional(read->what) : std::nullopt;
  };
  CHECK(what(list({"EVENT", "s", event("x").json()}).dump()) == What::event);
  CHECK(what(R"(["EOSE","s"])") == What::end_of_stored);
  CHECK(what(R"(["OK","id",true,""])") == What::ok);
  CHECK(what(R"(["CLOSED","s","auth-required: x"])") == What::closed);
  CHECK(what(R"(["NOTICE","hello"])") == What::other);
  CHECK(what(R"(["AUTH","challenge"])") == What::other);
  CHECK(what(R"(["COUNT","s",{}])") == What::other);
  CHECK(read_relay_message(R"(["OK","id",false,"blocked: x"])")->text == "blocked: x");
  CHECK_FALSE(read_relay_message(R"(["OK","id",false])")->accepted);
  for (const char* none : {"", "x", "{}", "[]", "[1]", R"(["EOSE"])", R"(["OK","id"])",
                           R"(["OK","id","true"])", R"(["EVENT","s"])", R"(["EVENT","s",{}])"}) {
    CHECK_FALSE(what(none));
  }
}

/// A relay with a wallet behind it, in memory. `answers` says what the wallet does.
struct Fake {
  std::function<std::optional<Json>(const std::string& method, const Json& params)> answers;
  bool nip04 = false;
  bool silent = false;                    ///< the relay does not say EOSE
  bool refuses = false;                   ///< the relay refuses events, after the wallet has them
  std::string closes;                     ///< the relay refuses subscriptions
  std::optional<NostrEvent> stored;       ///< what it has
  std::function<void(NostrEvent&)> bend;  ///< changes an answer before it is signed
  PrivateKey wallet = key(2);
  PrivateKey signer = key(2);
  std::vector<std::string> asked;  ///< methods, and the relay's URLs as "->url"
  std::vector<NostrEvent> requests;
  Json::Array seen;  ///< all that was sent to it

  Secret secret() const {
    return nip04 ? *wallet.shared_x(key(1).x_only_key())
                 : *conversation_key(wallet, key(1).x_only_key());
  }

  bool hangs_up = false;       ///< the connection ends behind each answer
  std::optional<Kind> signal;  ///< comes as soon as somebody waits
  std::optional<Kind> later;   ///< comes once a subscription was ended

  std::string subscription;
  std::vector<std::string> out;
  bool over = false;  ///< the connection ends once `out` is read

  void take(const std::string& text) {
    const Json json = *Json::parse(text, 1 << 20);
    seen.push_back(json);
    const Json::Array& parts = *json.items();
    const std::string name = *parts[0].string();
    if (name == "CLOSE") signal = std::exchange(later, std::nullopt);
    if (name == "REQ") subscribe(*parts[1].string());
    if (name == "EVENT") publish(*read_event(parts[1]));
  }

  void subscribe(const std::string& id) {
    subscription = id;
    out.push_back(R"(["NOTICE","welcome"])");
    out.push_back(R"(["AUTH","challenge"])");
    out.push_back("no JSON");
    if (!closes.empty()) out.push_back(list({"CLOSED", id, closes}).dump());
    if (stored) out.push_back(list({"EVENT", id, stored->json()}).dump());
    if (!silent) out.push_back(list({"EOSE", id}).dump());
  }

  void publish(const NostrEvent& request) {
    requests.push_back(request);
    const Secret shared = secret();
    const auto text =
        nip04 ? decrypt_nip04(shared, request.content) : decrypt_nip44(shared, request.content);
    const Json asks = *Json::parse(*text);
    asked.push_back(*asks.string_at("method"));
    const auto answer = answers(asked.back(), *asks.find("params"));
    out.push_back(list({"OK", to_hex(request.id), !refuses, "blocked: no"}).dump());
    over = hangs_up;
    if (!answer) return;
    Json said = *answer;
    if (said.find("result_type") == nullptr) said.set("result_type", asked.back());
    NostrEvent response;
    response.kind = 23195;
    response.created = request.created;
    response.tags = {{"p", to_hex(request.author)}, {"e", to_hex(request.id)}};
    response.content =
        nip04 ? encrypt_nip04(shared, {3}, said.dump()) : *encrypt_nip44(shared, {3}, said.dump());
    if (bend) bend(response);
    response = signed_event(response, signer);
    out.push_back(list({"EVENT", subscription, response.json()}).dump());
  }
};

/// A frame of a server.
std::string frame(const std::string& payload) {
  std::string text = "\x81";
  const std::size_t size = payload.size();
  if (size < 126) {
    text += static_cast<char>(size);
  } else {
    text += '\x7e';
    text += static_cast<char>(size >> 8 & 0xff);
    text += static_cast<char>(size & 0xff);
  }
  return text + payload;
}

class Wire : public http::Connection {
 public:
  explicit Wire(Fake& fake) : fake_(fake) {}

  Result<std::size_t> send(std::string_view bytes) override {
    heard_ += bytes;
    if (!upgraded_ && heard_.find("\r\n\r\n") != std::string::npos) {
      const std::string name = "Sec-WebSocket-Key: ";
      const std::string nonce = heard_.substr(heard_.find(name) + name.size(), 24);
      said_ =
          "HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
          "Sec-WebSocket-Accept: " +
          to_base64(sha1(as_bytes(nonce + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))) + "\r\n\r\n";
      heard_.clear();
      upgraded_ = true;
      return bytes.size();
    }
    if (upgraded_) unframe();
    return bytes.size();
  }
  Result<std::optional<std::size_t>> receive(std::span<char> out) override {
    for (const std::string& text : std::exchange(fake_.out, {})) {
      said_ += frame(text);
    }
    if (said_.empty() && !fake_.over) return std::nullopt;
    const std::size_t size = std::min(said_.size(), out.size());
    said_.copy(out.data(), size);
    said_.erase(0, size);
    return size;
  }
  Result<> wait(bool, http::Duration) override {
    const auto kind = std::exchange(fake_.signal, std::nullopt);
    return kind ? Result<>(Error{*kind, "stopped by a signal"}) : Result<>();
  }
  Peer peer() const override { return {}; }
  const http::Settings& settings() const override { return settings_; }

 private:
  void unframe() {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(heard_.at(i)); };
    while (heard_.size() >= 6) {
      std::size_t size = byte(1) & 0x7f;
      std::size_t head = 2;
      if (size == 126) {
        size = std::size_t{byte(2)} << 8 | byte(3);
        head = 4;
      }
      if (heard_.size() < head + 4 + size) return;
      std::string text;
      for (std::size_t i = 0; i < size; ++i) {
        text += static_cast<char>(byte(head + 4 + i) ^ byte(head + i % 4));
      }
      const bool is_text = (byte(0) & 0x0f) == 1;
      heard_.erase(0, head + 4 + size);
      if (is_text) fake_.take(text);
    }
  }

  Fake& fake_;
  http::Settings settings_;
  std::string heard_, said_;
  bool upgraded_ = false;
};

class RelayClient : public test::NoClient {
 public:
  explicit RelayClient(Fake& fake) : fake_(fake) {}
  Result<std::unique_ptr<http::Connection>> connect(const http::Request& request) override {
    fake_.asked.push_back("->" + request.url.host);
    if (request.url.host == "dead.example") return http::transport_error(7, "nobody is there");
    fake_.over = false;
    return std::unique_ptr<http::Connection>(std::make_unique<Wire>(fake_));
  }

 private:
  Fake& fake_;
};

std::unique_ptr<Node> node(Fake& fake, std::vector<std::string> relays = {"wss://relay.example"}) {
  Connection connection;
  connection.kind = Connection::Kind::nwc;
  connection.relays = std::move(relays);
  connection.secret.assign(Bytes(32, 1));
  connection.wallet = key(2).x_only_key();
  connection.nip04 = fake.nip04;
  auto made = make_nwc(
      std::move(connection),
      [&](const std::string&) { return std::make_unique<RelayClient>(fake); },
      [] { return Millis{1'767'225'600'000}; });
  REQUIRE(made);
  return std::move(*made);
}

Json result(Json value) {
  return Json::object({{"result", std::move(value)}});
}
Json refusal(const char* code, const char* message = "because") {
  return Json::object(
      {{"error", Json::object({{"code", code}, {"message", message}})}, {"result", nullptr}});
}
Json paid() {
  return Json::object({{"preimage", kPreimage}, {"fees_paid", 2010}});
}
Json looked_up(const char* state) {
  return Json::object({{"type", "outgoing"},
                       {"state", state},
                       {"payment_hash", to_hex(hash())},
                       {"preimage", kPreimage},
                       {"fees_paid", 7}});
}

/// The answers of a wallet by method.
Fake wallet(std::vector<std::pair<std::string, std::optional<Json>>> answers) {
  Fake fake;
  fake.answers = [answers = std::move(answers)](const std::string& method,
                                                const Json&) -> std::optional<Json> {
    for (const auto& [name, answer] : answers) {
      if (name == method) return answer;
    }
    return refusal("NOT_IMPLEMENTED");
  };
  return fake;
}

TEST_CASE("a payment, and what goes over the wire for it") {
  for (const bool nip04 : {false, true}) {
    Fake fake;
    fake.nip04 = nip04;
    Json params;
    fake.answers = [&](const std::string&, const Json& given) {
      params = given;
      return std::optional(result(paid()));
    };
    const Payment payment = node(fake)->pay(invoice(), Amount(10'000), 20s);
    CHECK(payment.state == State::settled);
    CHECK(to_hex(payment.preimage.bytes()) == kPreimage);
    CHECK(payment.fee == Amount(2010));
    CHECK(fake.asked == std::vector<std::string>{"->relay.example", "pay_invoice"});
    CHECK(params.dump() == Json::object({{"invoice", invoice().text}}).dump());

    REQUIRE(fake.requests.size() == 1);
    const NostrEvent& request = fake.requests[0];
    CHECK(request.kind == 23194);
    CHECK(request.author == key(1).x_only_key());
    CHECK(request.created == 1'767'225'600);
    CHECK(request.has_tag("p", to_hex(key(2).x_only_key())));
    CHECK(request.has_tag("expiration", "1767225615"));
    CHECK(request.has_tag("encryption", "nip44_v2") == !nip04);
    REQUIRE(fake.seen.size() == 3);  // subscribed first
    CHECK(*fake.seen[0].items()->at(0).string() == "REQ");
    CHECK(fake.seen[0].items()->at(2).dump() == "{\"kinds\":[23195],\"authors\":[\"" +
                                                    to_hex(key(2).x_only_key()) + "\"],\"#e\":[\"" +
                                                    to_hex(request.id) + "\"]}");
    CHECK(*fake.seen[1].items()->at(0).string() == "EVENT");
    CHECK(*fake.seen[2].items()->at(0).string() == "CLOSE");
  }
}

/// "state kind reason" of what comes of pay_invoice's answer and lookup_invoice's, and how often
/// the wallet was asked to pay.
std::string outcome(std::optional<Json> pays, std::optional<Json> looks_up) {
  Fake fake;
  fake.hangs_up = true;
  fake.answers = [&](const std::string& method, const Json&) {
    const auto& answer = method == "pay_invoice" ? pays : looks_up;
    // A signal ends the wait for what is in flight.
    if (answer && answer->dump().find("pending") != std::string::npos) {
      fake.later = Kind::interrupted;
      fake.hangs_up = false;
    }
    return answer;
  };
  const Payment payment = node(fake)->pay(invoice(), Amount(10'000), 20s);
  CHECK(std::count(fake.asked.begin(), fake.asked.end(), "pay_invoice") == 1);
  constexpr std::array kNames{"never", "failed", "in_flight", "settled", "unknown"};
  CHECK((payment.state == State::settled) == !payment.preimage.empty());
  std::string text = kNames.at(static_cast<std::size_t>(payment.state));
  if (payment.why) {
    text += " " + std::to_string(static_cast<int>(payment.why->kind)) + " " + payment.why->reason;
  }
  return text;
}

TEST_CASE("what a refusal of the wallet means for the money") {
  const Json none = refusal("NOT_FOUND");
  CHECK(outcome(refusal("INSUFFICIENT_BALANCE"), none) == "failed 103 ");
  CHECK(outcome(refusal("QUOTA_EXCEEDED"), none) == "failed 102 budget");
  CHECK(outcome(refusal("RESTRICTED"), none) == "failed 105 ");
  CHECK(outcome(refusal("UNAUTHORIZED"), none) == "failed 105 ");
  CHECK(outcome(refusal("RATE_LIMITED"), none) == "failed 109 failed");
  // A payment that failed did so only if the wallet does not know better.
  CHECK(outcome(refusal("PAYMENT_FAILED"), none) == "failed 109 failed");
  CHECK(outcome(refusal("PAYMENT_FAILED"), result(looked_up("failed"))) == "failed 109 failed");
  CHECK(outcome(refusal("PAYMENT_FAILED"), refusal("NOT_IMPLEMENTED")) == "failed 109 failed");
  CHECK(outcome(refusal("PAYMENT_FAILED"), result(looked_up("settled"))) == "settled");
  CHECK(outcome(refusal("PAYMENT_FAILED"), result(looked_up("pending"))) == "in_flight 130 ");
  CHECK(outcome(refusal("PAYMENT_FAILED"), refusal("INTERNAL")) == "unknown 109 failed");
  // Codes without a meaning.
  for (const char* code : {"INTERNAL", "OTHER", "WHATEVER"}) {
    CHECK(outcome(refusal(code), result(looked_up("settled"))) == "settled");
    CHECK(outcome(refusal(code), result(looked_up("pending"))) == "in_flight 130 ");
    CHECK(outcome(refusal(code), result(looked_up("failed"))) == "failed 109 failed");
    CHECK(outcome(refusal(code), none) == "failed 109 failed");
    CHECK(outcome(refusal(code), refusal("NOT_IMPLEMENTED")) == "unknown 109 failed");
  }
  // Paid before, whatever the code.
  for (const char* code : {"INTERNAL", "PAYMENT_FAILED", "RESTRICTED"}) {
    const Json before = refusal(code, "this invoice has already been paid");
    CHECK(outcome(before, result(looked_up("settled"))) == "settled");
    CHECK(outcome(before, none).starts_with("unknown"));
  }
}

TEST_CASE("no answer, or one that cannot be") {
  const Json none = refusal("NOT_FOUND");
  CHECK(outcome(std::nullopt, result(looked_up("settled"))) == "settled");
  CHECK(outcome(std::nullopt, result(looked_up("failed"))) == "failed 109 failed");
  CHECK(outcome(std::nullopt, none) == "unknown 109 away");
  CHECK(outcome(Json::object({{"result_type", "get_info"}, {"result", paid()}}), none) ==
        "unknown 104 ");
  CHECK(outcome(Json::object({{"result", nullptr}}), none) == "unknown 104 ");
  CHECK(outcome(Json::object({{"error", "no"}}), none) == "unknown 104 ");
  const auto with_preimage = [](Json preimage) {
    return result(Json::object({{"preimage", std::move(preimage)}}));
  };
  for (const Json& bad : {Json(), Json(""), Json(1), Json(std::string(64, '0')),
                          Json(std::string(kPreimage) + "00")}) {
    CHECK(outcome(with_preimage(bad), none) == "unknown 109 bad_preimage");
  }
}

TEST_CASE("an answer counts only when the wallet gave it to this question") {
  const auto state = [](const std::function<void(Fake&)>& change) {
    Fake fake = wallet({{"pay_invoice", result(paid())}});
    fake.hangs_up = true;
    change(fake);
    return node(fake)->pay(invoice(), Amount(10'000), 20s).state;
  };
  CHECK(state([](Fake&) {}) == State::settled);
  CHECK(state([](Fake& fake) { fake.signer = key(9); }) == State::unknown);
  CHECK(state([](Fake& fake) {
          fake.bend = [](NostrEvent& event) { event.tags = {{"e", std::string(64, '0')}}; };
        }) == State::unknown);
  CHECK(state([](Fake& fake) { fake.bend = [](NostrEvent& event) { event.kind = 23196; }; }) ==
        State::unknown);
  CHECK(state([](Fake& fake) { fake.bend = [](NostrEvent& event) { event.content = "AAAA"; }; }) ==
        State::unknown);
}

TEST_CASE("a relay that refuses, is dead, or says nothing") {
  Fake fake = wallet({{"pay_invoice", result(paid())}});
  // The next one is asked.
  CHECK(
      node(fake, {"wss://dead.example", "wss://b.example"})->pay(invoice(), Amount(1), 2s).state ==
      State::settled);
  CHECK(fake.asked == std::vector<std::string>{"->dead.example", "->b.example", "pay_invoice"});
  // Nobody can have got the question: it has failed.
  const auto untold = [&](std::vector<std::string> relays, http::Duration patience = 20s) {
    fake.asked.clear();
    const Payment payment = node(fake, std::move(relays))->pay(invoice(), Amount(1), patience);
    CHECK(std::count(fake.asked.begin(), fake.asked.end(), "pay_invoice") == 0);
    CHECK(payment.why->kind == Kind::backend);
    CHECK(payment.why->reason == "away");
    return payment.state;
  };
  CHECK(untold({"wss://dead.example"}) == State::failed);
  CHECK(untold({}) == State::failed);
  fake.closes = "auth-required: who are you";
  CHECK(untold({"wss://a.example", "wss://b.example"}) == State::failed);
  fake.closes.clear();
  fake.silent = true;
  CHECK(untold({"wss://a.example"}, 10ms) == State::failed);
  fake.silent = false;
  // The wallet may have it when the relay says that it refused.
  fake.refuses = true;
  fake.answers = [](const std::string& method, const Json&) {
    return method == "pay_invoice" ? std::nullopt : std::optional(refusal("NOT_FOUND"));
  };
  CHECK(node(fake)->pay(invoice(), Amount(1), 20s).state == State::unknown);
}

TEST_CASE("silence, and a signal while a wallet pays") {
  Fake fake = wallet({{"pay_invoice", std::nullopt}, {"lookup_invoice", refusal("NOT_FOUND")}});
  const Payment silent = node(fake)->pay(invoice(), Amount(1), 500ms);
  CHECK(silent.state == State::unknown);
  CHECK(silent.why->message == "the wallet's relay: it does not answer");
  CHECK(fake.asked.back() == "lookup_invoice");
  fake.answers = [&](const std::string&, const Json&) {
    fake.signal = Kind::terminated;
    return std::nullopt;
  };
  const Payment stopped = node(fake)->pay(invoice(), Amount(1), 20s);
  CHECK(stopped.state == State::unknown);
  CHECK(stopped.why->kind == Kind::terminated);
  CHECK(fake.asked.back() == "pay_invoice");
}

TEST_CASE("a payment that is looked up") {
  const auto look = [](Json answer) {
    Fake fake = wallet({{"lookup_invoice", std::move(answer)}});
    return node(fake)->look_up(hash(), 0ms).state;
  };
  CHECK(look(result(looked_up("settled"))) == State::settled);
  CHECK(look(result(looked_up("pending"))) == State::in_flight);
  CHECK(look(result(looked_up("failed"))) == State::failed);
  CHECK(look(result(looked_up("expired"))) == State::unknown);
  CHECK(look(result(Json::object())) == State::unknown);
  CHECK(look(refusal("NOT_FOUND")) == State::never);
  CHECK(look(refusal("INTERNAL")) == State::unknown);
  CHECK(look(refusal("UNAUTHORIZED")) == State::unknown);
  CHECK(look(result(looked_up("settled").set("type", "incoming"))) == State::unknown);
  CHECK(look(result(looked_up("failed").set("payment_hash", std::string(64, '0')))) ==
        State::unknown);
  CHECK(look(result(looked_up("settled").set("preimage", std::string(64, '0')))) == State::unknown);
  Json old = Json::object({{"type", "outgoing"}, {"preimage", kPreimage}, {"settled_at", 1}});
  CHECK(look(result(old)) == State::settled);
  CHECK(look(result(old.set("settled_at", nullptr))) == State::unknown);

  // It is waited for.
  Fake fake;
  int asked = 0;
  fake.answers = [&](const std::string&, const Json& params) {
    CHECK(*params.string_at("payment_hash") == to_hex(hash()));
    return std::optional(result(looked_up(++asked < 2 ? "pending" : "settled")));
  };
  const Payment payment = node(fake)->look_up(hash(), 20s);
  CHECK(payment.state == State::settled);
  CHECK(payment.fee == Amount(7));
  CHECK(asked == 2);
  CHECK(std::count(fake.asked.begin(), fake.asked.end(), "->relay.example") == 1);
}

TEST_CASE("what a wallet tells of itself") {
  const Json got = Json::object({{"alias", "hub"},
                                 {"pubkey", "02ab"},
                                 {"network", "regtest"},
                                 {"methods", list({"pay_invoice", "lookup_invoice"})}});
  Fake fake = wallet(
      {{"get_info", result(got)}, {"get_balance", result(Json::object({{"balance", 21'000}}))}});
  const auto info = node(fake)->info();
  REQUIRE(info);
  CHECK(info->network == "regtest");
  CHECK(info->name == "hub");
  CHECK(info->id == "02ab");
  CHECK(info->can_pay);
  CHECK(info->can_look_up);
  CHECK_FALSE(info->can_invoice);
  CHECK(*node(fake)->balance() == Amount(21'000));
  CHECK(*node(fake)->fixed_fee(invoice()) == std::nullopt);

  // The info event stands in for what may not be asked.
  Fake shy = wallet({{"get_info", refusal("RESTRICTED")}});
  NostrEvent told;
  told.kind = 13194;
  told.content = "pay_invoice make_invoice";
  told.tags = {{"encryption", "nip04 nip44_v2"}};
  shy.stored = signed_event(told, key(2));
  const auto from_event = node(shy)->info();
  REQUIRE(from_event);
  CHECK(from_event->can_pay);
  CHECK(from_event->can_invoice);
  CHECK_FALSE(from_event->can_look_up);
  CHECK(from_event->network.empty());
  shy.stored = signed_event(told, key(3));  // somebody else's
  CHECK(node(shy)->info().error().kind == Kind::account);
  told.tags.clear();
  shy.stored = signed_event(told, key(2));
  CHECK(node(shy)->info().error().reason == "encryption");
  shy.stored.reset();
  CHECK(node(shy)->balance().error().kind == Kind::backend);
  for (const Json& bad : {Json(), Json(-1), Json("1")}) {
    Fake liar = wallet({{"get_balance", result(Json::object({{"balance", bad}}))}});
    CHECK(node(liar)->balance().error().kind == Kind::protocol);
  }
}

TEST_CASE("invoices to us") {
  Fake fake;
  Json params;
  fake.answers = [&](const std::string& method, const Json& given) {
    params = given;
    if (method == "make_invoice") return result(Json::object({{"invoice", "lnbcrt1x"}}));
    return result(Json::object(
        {{"type", "incoming"}, {"state", "settled"}, {"amount", 98'000}, {"settled_at", 1}}));
  };
  CHECK(*node(fake)->make_invoice("refund", 3600s) == "lnbcrt1x");
  CHECK(params.dump() == R"({"amount":0,"description":"refund","expiry":3600})");
  const auto received = node(fake)->received(hash());
  REQUIRE(received);
  CHECK((*received)->settled);
  CHECK((*received)->amount == Amount(98'000));

  const auto no_invoice = [](const char* code) {
    Fake other = wallet({{"make_invoice", refusal(code)}});
    return node(other)->make_invoice("", 1s).error();
  };
  CHECK(no_invoice("NOT_IMPLEMENTED").reason == "no_invoices");
  CHECK(no_invoice("OTHER").kind == Kind::unsupported);
  CHECK(no_invoice("UNAUTHORIZED").kind == Kind::account);
  const auto stands = [](Json answer) {
    Fake other = wallet({{"lookup_invoice", std::move(answer)}});
    return node(other)->received(hash());
  };
  CHECK_FALSE(*stands(refusal("NOT_FOUND")));
  CHECK_FALSE(*stands(result(looked_up("settled"))));
  CHECK_FALSE((*stands(result(Json::object({{"state", "pending"}}))))->settled);
  CHECK(stands(result(Json::object({{"state", "settled"}}))).error().kind == Kind::protocol);
  CHECK(stands(refusal("INTERNAL")).error().kind == Kind::backend);
}

TEST_CASE("a connection that is none") {
  Connection connection;
  connection.kind = Connection::Kind::nwc;
  const ClientFor none = [](const std::string&) { return std::unique_ptr<http::Client>(); };
  connection.secret.assign(Bytes(32));
  connection.wallet = key(2).x_only_key();
  CHECK(make_nwc(std::move(connection), none, {}).error().kind == Kind::account);
  Connection wrong;
  wrong.secret.assign(Bytes(32, 1));
  wrong.wallet.fill(0xff);
  CHECK(make_nwc(std::move(wrong), none, {}).error().kind == Kind::account);
}

}  // namespace
}  // namespace paycurl::lightning
