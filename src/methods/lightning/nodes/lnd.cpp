// LND over REST: the router's second version of paying and tracking; the first is gone since 0.21.
#include "src/methods/lightning/nodes/rest.h"

namespace paycurl::lightning {
namespace {

/// A payment tells every attempt that it made.
constexpr std::size_t kMaxPayment = 4 << 20;

Error why_failed(std::string_view reason) {
  if (reason == "FAILURE_REASON_INSUFFICIENT_BALANCE") {
    return {Kind::insufficient_funds, "the node's channels hold too little to pay that"};
  }
  if (reason == "FAILURE_REASON_NO_ROUTE") {
    return {Kind::backend, "the node found no route within the fee limit",
            "try later, or allow more with --max-fee", "no_route"};
  }
  if (reason == "FAILURE_REASON_TIMEOUT") {
    return {Kind::backend, "the node ran out of time", "try again", "failed"};
  }
  if (reason == "FAILURE_REASON_INCORRECT_PAYMENT_DETAILS") {
    return {Kind::backend, "the payee refused the payment", "", "failed"};
  }
  return no_reason();
}

/// What one `Payment` of LND's says.
Payment read_payment(const Json& json, const Digest& payment_hash) {
  if (text_at(json, "payment_hash") != to_hex(payment_hash)) return unknown(unreadable());
  const std::string status = text_at(json, "status");
  if (status == "SUCCEEDED") {
    return settled_with(text_at(json, "payment_preimage"), payment_hash,
                        number_at(json, "fee_msat"));
  }
  if (status == "FAILED") return failed(why_failed(text_at(json, "failure_reason")));
  if (status == "IN_FLIGHT" || status == "INITIATED") return in_flight();
  return unknown(unreadable());
}

bool is_end(const Payment& payment) {
  return payment.state == Payment::State::settled || payment.state == Payment::State::failed;
}

/// The gateway's code 5. It is also what a path gets that the gateway does not know.
bool is_not_found(const Reply& reply) {
  if (reply.fate != Reply::Fate::answered || reply.status != 404) return false;
  const Json* error = reply.json.find("error");
  const Json& told = error == nullptr ? reply.json : *error;
  const Json* code = told.find("code");
  return code != nullptr && code->integer() == 5 && text_at(told, "message") != "Not Found";
}

class Lnd : public Node {
 public:
  Lnd(Connection connection, std::unique_ptr<http::Client> client)
      : rest_(std::move(connection), std::move(client), "Grpc-Metadata-macaroon") {}

  Result<NodeInfo> info() override {
    const auto json = rest_.read({"/v1/getinfo"});
    if (!json) return with_port_hint(json.error());
    const Json* chains = json->find("chains");
    if (chains == nullptr || chains->items() == nullptr || chains->items()->empty()) {
      return with_port_hint(unreadable());
    }
    auto network = network_named(text_at(chains->items()->front(), "network"));
    if (!network) return network.error();
    NodeInfo info;
    info.network = std::move(*network);
    info.name = text_at(*json, "alias");
    info.id = text_at(*json, "identity_pubkey");
    return info;
  }

  Result<Amount> balance() override {
    const auto json = rest_.read({"/v1/balance/channels"});
    if (!json) return json.error();
    const Json* local = json->find("local_balance");
    const auto amount = local == nullptr ? std::nullopt : number_at(*local, "msat");
    if (!amount) return unreadable();
    return *amount;
  }

  Result<std::optional<Amount>> fixed_fee(const Invoice& /*invoice*/) override {
    return std::optional<Amount>();
  }

  Payment pay(const Invoice& invoice, Amount most_fee, http::Duration patience) override {
    const Countdown countdown(patience);
    const Json question = Json::object({{"payment_request", invoice.text},
                                        {"fee_limit_msat", most_fee.decimal()},
                                        {"timeout_seconds", seconds_of(patience)},
                                        {"no_inflight_updates", true}});
    Payment seen;
    const Reply reply = follow({"/v2/router/send", question, "", patience, kMaxPayment},
                               invoice.payment_hash, false, seen);
    if (is_end(seen)) return seen;
    Error why = seen.why ? *seen.why : rest_.error_of(reply);
    if (reply.fate == Reply::Fate::unsent) return failed(std::move(why));
    return settle(*this, invoice.payment_hash, countdown.left(), rest_.verdict_of(reply),
                  std::move(why));
  }

  Payment look_up(const Digest& payment_hash, http::Duration patience) override {
    // With updates the first line comes at once.
    const std::string path =
        "/v2/router/track/" + to_base64url(payment_hash) + "=?no_inflight_updates=false";
    Payment seen;
    const Reply reply = follow({path, std::nullopt, "", patience, kMaxPayment}, payment_hash,
                               patience.count() == 0, seen);
    if (is_not_found(reply)) seen.state = Payment::State::never;
    if (seen.state == Payment::State::unknown && !seen.why) seen.why = rest_.error_of(reply);
    return seen;
  }

  Result<std::string> make_invoice(const std::string& description,
                                   std::chrono::seconds lifetime) override {
    const Json question = Json::object(
        {{"memo", description}, {"expiry", std::to_string(lifetime.count())}, {"private", true}});
    const auto json = rest_.read({"/v1/invoices", question});
    if (!json) return json.error();
    std::string invoice = text_at(*json, "payment_request");
    if (invoice.empty()) return unreadable();
    return invoice;
  }

  Result<std::optional<Received>> received(const Digest& payment_hash) override {
    const Reply reply = rest_.ask({"/v1/invoice/" + to_hex(payment_hash)});
    if (is_not_found(reply)) return std::optional<Received>();
    if (!reply.is_good()) return rest_.error_of(reply);
    Received received;
    received.settled = text_at(reply.json, "state") == "SETTLED";
    const auto amount = number_at(reply.json, "amt_paid_msat");
    if (received.settled && !amount) return unreadable();
    if (received.settled) received.amount = *amount;
    return std::optional<Received>(received);
  }

 private:
  /// Follows a payment; `seen` is what the last line said. A line that is an error breaks the
  /// stream off and says nothing about the payment.
  Reply follow(const Rest::Question& question, const Digest& payment_hash, bool only_first,
               Payment& seen) {
    return rest_.ask(question, [&](const Json& line) {
      const Json* result = line.find("result");
      if (result == nullptr) return false;
      seen = read_payment(*result, payment_hash);
      return !is_end(seen) && !only_first;
    });
  }

  Error with_port_hint(Error error) const {
    const bool is_grpc = rest_.url().ends_with(":10009");
    if (is_grpc && (error.kind == Kind::backend || error.kind == Kind::protocol)) {
      error.hint = "10009 is usually the port of gRPC; REST has another, usually 8080";
    }
    return error;
  }

  Rest rest_;
};

}  // namespace

Result<std::unique_ptr<Node>> make_lnd(Connection connection, const ClientFor& client_for) {
  auto client = client_for(connection.ca_pem);
  return std::unique_ptr<Node>(std::make_unique<Lnd>(std::move(connection), std::move(client)));
}

}  // namespace paycurl::lightning
