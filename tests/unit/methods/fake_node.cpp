#include "tests/unit/methods/fake_node.h"

#include <doctest/doctest.h>

#include "src/base/json.h"

namespace paycurl::test {
namespace {

using Kind = Connection::Kind;
using State = Payment::State;

constexpr int kSignal = -1;

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

std::string quoted(const std::string& text) {
  return Json(text).dump();
}

}  // namespace

FakeNode::FakeNode(Kind kind) : kind_(kind) {
  preimage.fill(0xa7);
  invoice.text = "lnbcrt1fake";
  invoice.network = "regtest";
  invoice.amount = Amount(100'000);
  invoice.payment_hash = sha256(preimage);
}

std::unique_ptr<lightning::Node> FakeNode::node(const std::string& url) {
  Connection connection;
  connection.kind = kind_;
  connection.url = url;
  connection.secret.assign(as_bytes(secret));
  connection.longest_wait = longest_wait;
  auto node = lightning::make_node(
      std::move(connection),
      [this](const std::string&) { return std::make_unique<Borrowed>(*this); },
      [] { return Millis{0}; });
  REQUIRE(node);
  return std::move(*node);
}

void FakeNode::exchange(const http::Request& request, http::Stream& stream) {
  const std::string body = request.body ? **request.body->text(1 << 20) : "";
  const Reply reply = answer(request, body);
  http::Stats stats;
  stats.times_sent = reply.transport == 7 ? 0 : 1;
  http::Head head;
  head.status = reply.status;
  Result<> result;
  if (!reply.body.empty() || reply.transport == 0) result = stream.head(head);
  for (std::size_t at = 0; result && at < reply.body.size(); at += 1000)
    result = stream.data(std::string_view(reply.body).substr(at, 1000));
  if (result && reply.transport != 0) result = http::transport_error(reply.transport, "broken");
  if (reply.transport == kSignal) result = Error{paycurl::Kind::interrupted, "stopped"};
  stream.done(result, stats);
}

FakeNode::Reply FakeNode::answer(const http::Request& request, const std::string& body) {
  const std::string path = request.url.text.substr(request.url.origin().size());
  const char* field = kind_ == Kind::lnd        ? "Grpc-Metadata-macaroon"
                      : kind_ == Kind::cln      ? "Rune"
                      : kind_ == Kind::phoenixd ? "Authorization"
                                                : "X-Api-Key";
  const std::string* shown = request.headers.find(field);
  seen.push_back({request.method, path, body, shown == nullptr ? "" : *shown,
                  request.own_connection, request.deadlines.total});
  if (away) return {0, "", 7};
  const bool is_pay = request.method == "POST" &&
                      (path == "/v2/router/send" || path == "/v1/xpay" || path == "/v1/pay" ||
                       path == "/payinvoice" || path == "/api/v1/payments");
  if (path == "/v1/xpay" && !knows_xpay) {
    return {404, R"({"code":-32601,"message":"Unknown command"})"};
  }
  if (is_pay) return answer_pay();
  if (path.starts_with("/v2/router/track/") || path == "/v1/listpays" ||
      path.starts_with("/payments/outgoingbyhash/") ||
      (path.starts_with("/api/v1/payments/") && !has(path, "fee-reserve"))) {
    return answer_look();
  }
  return answer_question(path);
}

FakeNode::Reply FakeNode::answer_pay() {
  ++pays;
  if (on_pay == Fault::unsent) return {0, "", 7};
  const bool is_turned_away = on_pay == Fault::refused || on_pay == Fault::gateway;
  if (state == State::settled || state == State::in_flight) return spoilt(on_pay, duplicate());
  if (!is_turned_away) state = outcome;
  if (state == State::never && on_pay == Fault::none) return {0, "", 28};
  if (state == State::in_flight && on_pay == Fault::none) return {0, "", 28};
  if (state == State::failed) return spoilt(on_pay, failed_pay());
  return spoilt(on_pay, told(true));
}

FakeNode::Reply FakeNode::answer_look() {
  ++looks;
  if (!other_status.empty()) {
    return {std::stoi(other_status.substr(0, 3)), other_status.substr(4)};
  }
  const bool was_in_flight = state == State::in_flight;
  if (was_in_flight && looks > looks_until_later) state = later;
  // LND tells on the same stream what it comes to.
  if (was_in_flight && kind_ == Kind::lnd && on_look == Fault::none) {
    const State now = state;
    state = State::in_flight;
    Reply stream = told(false);
    state = later;
    if (later == State::in_flight) return {200, stream.body, 28};
    stream.body += told(false).body;
    state = now;
    return stream;
  }
  return spoilt(on_look, told(false));
}

/// An answer, spoilt; what is settled may be told with another preimage.
FakeNode::Reply FakeNode::spoilt(Fault fault, Reply good) const {
  switch (fault) {
    case Fault::unsent:
      return {0, "", 7};
    case Fault::timeout:
      return {0, "", 28};
    case Fault::stopped:
      return {0, "", kSignal};
    case Fault::cut:
      return {good.status, good.body.substr(0, good.body.size() / 2), 18};
    case Fault::garbage:
      return {good.status == 404 ? 200 : good.status, "<html>" + to_hex(preimage) + "</html>\n"};
    case Fault::huge:
      return {good.status, std::string(5 << 20, ' ')};
    case Fault::refused:
      if (kind_ == Kind::lnd) {
        return {500, R"({"error":{"code":2,"message":"permission denied )" + secret + "\"}}"};
      }
      return {kind_ == Kind::cln ? 403 : 401, "bad secret " + secret};
    case Fault::gateway:
      return {502, "<html>bad gateway</html>"};
    case Fault::conflict:
      return duplicate();
    default:
      return good;
  }
}

FakeNode::Reply FakeNode::duplicate() const {
  switch (kind_) {
    case Kind::lnd:
      return {409, R"({"error":{"code":6,"message":"invoice is already paid","details":[]}})"};
    case Kind::cln:
      return {500, state == State::settled ? R"({"code":219,"message":"Already paid"})"
                                           : R"({"code":200,"message":"Payment in progress"})"};
    case Kind::phoenixd:
      return {200, R"({"paymentHash":"00","reason":"this invoice has already been paid"})"};
    default:
      return {520, R"({"detail":"Payment already paid.","status":"failed"})"};
  }
}

FakeNode::Reply FakeNode::failed_pay() const {
  const std::string hidden = " (" + to_hex(preimage) + " " + secret + ")\n\x1b[2J";
  const std::string words = failure == Failure::no_route        ? "no route to the payee"
                            : failure == Failure::poor          ? "insufficient balance"
                            : failure == Failure::too_expensive ? "the fee limit is too low"
                                                                : "it did not work";
  const std::string text = quoted(words + hidden);
  switch (kind_) {
    case Kind::lnd:
      return told(true);
    case Kind::cln: {
      const std::string code = failure == Failure::no_route        ? "205"
                               : failure == Failure::too_expensive ? "206"
                                                                   : "209";
      return {500, R"({"code":)" + code + R"(,"message":)" + text + "}"};
    }
    case Kind::phoenixd:
      return {200, R"({"paymentHash":"00","reason":)" + text + "}"};
    default:
      return {520, R"({"status":"failed","detail":)" + text + "}"};
  }
}

std::string FakeNode::shown_preimage(Fault fault) const {
  if (state != State::settled || fault == Fault::zero_preimage) return std::string(64, '0');
  if (fault == Fault::wrong_preimage) return to_hex(sha256(preimage));
  return to_hex(preimage);
}

/// What the wallet says of the payment, in answer to paying or to a look-up.
FakeNode::Reply FakeNode::told(bool paying) const {
  const Fault fault = paying ? on_pay : on_look;
  const bool lies = fault == Fault::lying_amounts;
  const std::string hash = to_hex(invoice.payment_hash);
  const std::string shown = shown_preimage(fault);
  const bool paid = state == State::settled;
  const bool over = state == State::failed;
  switch (kind_) {
    case Kind::lnd: {
      if (state == State::never) {
        return {404, R"({"error":{"code":5,"message":"payment isn't initiated","details":[]}})"};
      }
      const std::string reason = failure == Failure::no_route ? "FAILURE_REASON_NO_ROUTE"
                                 : failure == Failure::poor ? "FAILURE_REASON_INSUFFICIENT_BALANCE"
                                                            : "FAILURE_REASON_ERROR";
      const std::string status = paid ? "SUCCEEDED" : over ? "FAILED" : "IN_FLIGHT";
      return {200, R"({"result":{"payment_hash":")" + hash + R"(","payment_preimage":")" + shown +
                       R"(","status":")" + status + R"(","fee_msat":")" +
                       (lies ? "-99999999999999999999" : "2010") + R"(","failure_reason":")" +
                       (over ? reason : "FAILURE_REASON_NONE") + "\"}}\n"};
    }
    case Kind::cln: {
      const std::string numbers = lies ? R"("amount_msat":100000,"amount_sent_msat":7)"
                                       : R"("amount_msat":100000,"amount_sent_msat":102010)";
      if (paying) return {201, R"({"payment_preimage":")" + shown + R"(",)" + numbers + "}"};
      if (state == State::never) return {201, R"({"pays":[]})"};
      const std::string entry = R"({"payment_hash":")" + hash + R"(","status":")";
      const std::string failed_before = entry + "failed\"}";
      if (!paid) return {201, R"({"pays":[)" + entry + (over ? "failed" : "pending") + "\"}]}"};
      return {201, R"({"pays":[)" + failed_before + "," + entry + R"(complete","preimage":")" +
                       shown + R"(",)" + numbers + "}]}"};
    }
    case Kind::phoenixd:
      if (paying) {
        return {200, R"({"paymentHash":")" + hash + R"(","paymentPreimage":")" + shown +
                         R"(","routingFeeSat":)" + (lies ? "-5" : "2") + "}"};
      }
      if (state == State::never) return {404, "Not found"};
      return {200, R"({"paymentHash":")" + hash + R"(","isPaid":)" + (paid ? "true" : "false") +
                       (paid ? R"(,"preimage":")" + shown + R"(","fees":2010)" : "") +
                       (paid || over ? R"(,"completedAt":1)" : "") + "}"};
    default:
      if (paying) {
        return {201, R"({"payment_hash":")" + hash + R"(","status":"success","fee":)" +
                         (lies ? "\"x\"" : "-2010") + R"(,"preimage":")" + shown + "\"}"};
      }
      if (state == State::never) return {404, R"({"detail":"Payment does not exist."})"};
      if (paid) {
        return {200, R"({"paid":true,"preimage":")" + shown + R"(","details":{"fee":-2010}})"};
      }
      return {200,
              R"({"paid":false,"status":")" + std::string(over ? "failed" : "pending") + "\"}"};
  }
}

FakeNode::Reply FakeNode::answer_question(const std::string& path) const {
  const std::string hash = to_hex(invoice.payment_hash);
  const std::vector<std::pair<std::string, Reply>> answers{
      {"/v1/balance/channels", {200, R"({"local_balance":{"sat":"5","msat":"5001"}})"}},
      {"/v1/invoices", {200, R"({"r_hash":"AA==","payment_request":"lnbcrt1made"})"}},
      {"/v1/invoice/" + hash, {200, R"({"state":"SETTLED","amt_paid_msat":"7000"})"}},
      {"/v1/listpeerchannels",
       {201, R"({"channels":[{"state":"CHANNELD_NORMAL","spendable_msat":5000},)"
             R"({"state":"ONCHAIN","spendable_msat":9},)"
             R"({"state":"CHANNELD_NORMAL","spendable_msat":"1msat"}]})"}},
      {"/v1/invoice", {201, R"({"bolt11":"lnbcrt1made"})"}},
      {"/v1/listinvoices",
       {201, R"({"invoices":[{"status":"paid","amount_received_msat":7000}]})"}},
      {"/getinfo", {200, R"({"nodeId":"02ab","chain":"testnet3"})"}},
      {"/getbalance", {200, R"({"balanceSat":5,"feeCreditSat":1})"}},
      {"/createinvoice", {200, R"({"serialized":"lnbcrt1made"})"}},
      {"/payments/incoming/" + hash, {200, R"({"isPaid":true,"receivedSat":7})"}},
      {"/api/v1/wallet", {200, R"({"name":"w","balance":5001})"}},
      {"/api/v1/payments/fee-reserve?invoice=" + invoice.text, {200, R"({"fee_reserve":2000})"}}};
  if (path == "/v1/getinfo") {
    if (kind_ == Kind::cln) return {201, R"({"id":"02ab","alias":"a","network":"bitcoin"})"};
    return {200, R"({"identity_pubkey":"02ab","alias":"a","chains":[{"network":"regtest"}]})"};
  }
  for (const auto& [known, reply] : answers) {
    if (path == known) return reply;
  }
  return {404, R"({"code":5,"message":"Not Found","detail":"Not Found"})"};
}

}  // namespace paycurl::test
